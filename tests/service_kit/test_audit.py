"""The audit of the kit: hidden fields, and that nothing is written without an actor."""

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from service_kit.audit.entries import entry, process
from service_kit.identifiers import new_id
from service_kit.unit_of_work import UnknownActor, units_of_work
from tests.service_kit.toy import Box, Issuer


async def test_personal_fields_are_hidden_in_the_audit_as_in_the_record(
    client: httpx.AsyncClient, issuer: Issuer
) -> None:
    box = (await client.post("/v1/boxes", json={"name": "Ada's", "size": 1})).json()
    path = f"/v1/boxes/{box['id']}/audit"
    changes = {}
    for role in ("admin", "service-manager"):
        headers = {"Authorization": f"Bearer {issuer.token(role)}"}
        (created,) = (await client.get(path, headers=headers)).json()["items"]
        changes[role] = created["changes"]
    assert changes["admin"] == {"name": [None, "Ada's"], "size": [None, 1]}
    assert changes["service-manager"] == {"name": None, "size": [None, 1]}


async def test_nothing_is_written_without_an_actor(engine: AsyncEngine) -> None:
    box = Box(id=new_id(), version=1, name="unowned", size=1)
    async with units_of_work(engine)() as work:
        work.add(box)
        with pytest.raises(UnknownActor):
            await work.commit()
    async with units_of_work(engine)(only_reads=True) as work:
        assert await work.get(Box, box.id) is None


def test_what_json_does_not_know_is_a_text() -> None:
    assert entry(process("tests"), "box", new_id(), "created", {"size": (None, 1j)})[-1] == '{"size":[null,"1j"]}'
