"""GET /v1/proofs."""

from typing import Annotated

from fastapi import Depends
from pydantic import BaseModel

from metrics_worker.proofs.queries import PROOFS
from metrics_worker.proofs.schemas import ProofRead
from service_kit.lists.listing import ListQuery
from service_kit.routing import CallersAccess, Work, router

proofs = router("/proofs", "proofs")
_ASKS_PROOFS = PROOFS.query_of()


@proofs.get("", response_model=PROOFS.page_model, openapi_extra=_ASKS_PROOFS.document())
async def list_proofs(
    work: Work, access: CallersAccess, asked: Annotated[ListQuery, Depends(_ASKS_PROOFS)]
) -> BaseModel:
    """Return when the ledger was compared with the log, and what was found, the newest first.

    `metrics-verify` compares them, and stores each proof; the last 100 are kept. An empty list: never yet.
    """
    return await PROOFS.page(work, access, asked, ProofRead.model_validate)
