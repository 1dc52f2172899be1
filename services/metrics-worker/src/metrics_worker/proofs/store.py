"""Stores what `metrics-verify` found, and lets go of the oldest proofs."""

from datetime import datetime
from importlib.metadata import version
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from metrics_worker.maintenance.verify import Report
from metrics_worker.proofs.model import DIFFERENCES_KEPT, KEPT, LONGEST_SIDE, Proof
from service_kit.identifiers import new_id

_proof: Final = Proof.table


async def store_proof(engine: AsyncEngine, report: Report, *, began_at: datetime, ended_at: datetime) -> None:
    """Store a proof. The newest ones are kept; by number and not by age, so that the last one never goes."""
    row = {
        "id": new_id(),
        "began_at": began_at,
        "ended_at": ended_at,
        "fresh_as_of": report.fresh_as_of,
        "ledger_opened_at": report.ledger_opened_at,
        "events": report.events,
        "subjects": sum(report.subjects.values()),
        "blocks": report.blocks,
        "differences_found": report.differences_found,
        "differences": [_kept(each) for each in report.differences[:DIFFERENCES_KEPT]],
        "release": version("metrics-worker"),
    }
    newest = sa.select(_proof.c.id).order_by(_proof.c.id.desc()).limit(KEPT)
    async with engine.begin() as connection:
        await connection.execute(sa.insert(_proof).values(row))
        await connection.execute(sa.delete(_proof).where(_proof.c.id.not_in(newest)))


def _kept(difference: dict[str, Any]) -> dict[str, Any]:
    sides = {name: _text(value) for name, value in difference.items() if name not in ("table", "key")}
    return {"table": difference["table"], "key": difference["key"], "sides": sides}


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST_SIDE else f"{text[: LONGEST_SIDE - 1]}…"
