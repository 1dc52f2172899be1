"""The least that a write can cost in this stack: a FastAPI handler that checks a body and makes the same two inserts.

`python -m tests.load.peers.bare_api PORT` serves it over the database DATABASE_URL until SIGTERM. `/leads` and
`/tickets` take the bodies of the real APIs, `/deals/{id}/close` that of closing; each answers with the new id, and
inserts a row and an outbox row in one transaction.
"""

import contextlib
import os
import sys
import uuid
from collections.abc import AsyncIterator
from datetime import datetime

import asyncpg
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

POOL_SIZE = 10
_TABLES = """
CREATE TABLE IF NOT EXISTS written (id uuid PRIMARY KEY, body jsonb NOT NULL);
CREATE TABLE IF NOT EXISTS outbox (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL,
    aggregatetype text NOT NULL,
    aggregateid text NOT NULL,
    type text NOT NULL,
    payload bytea,
    created_at timestamptz NOT NULL DEFAULT now()
)
"""


class LeadCreate(BaseModel):
    """A lead's body, as the benchmark sends it."""

    channel: str | None = None
    region: str | None = None
    segment: str | None = None
    owner_id: uuid.UUID | None = None
    occurred_at: datetime | None = None


class DealCloseRequest(BaseModel):
    """How a deal ends."""

    outcome: str


class TicketCreate(BaseModel):
    """A ticket's body, as the benchmark sends it."""

    customer_id: uuid.UUID
    kind: str
    channel: str
    priority: str


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    url = os.environ["DATABASE_URL"].replace("+asyncpg", "")
    async with asyncpg.create_pool(url, min_size=POOL_SIZE, max_size=POOL_SIZE) as pool:
        await pool.execute(_TABLES)
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


async def insert(body: BaseModel) -> dict[str, str]:
    new_id = uuid.uuid4()
    text = body.model_dump_json()
    async with app.state.pool.acquire() as connection, connection.transaction():
        await connection.execute("INSERT INTO written VALUES ($1, $2)", new_id, text)
        await connection.execute(
            "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload) VALUES ($1, $2, $3, $4, $5)",
            uuid.uuid4(), "bare.events", str(new_id), "bare.written", text.encode(),
        )  # fmt: skip
    return {"id": str(new_id)}


@app.post("/leads", status_code=201)
async def create_lead(body: LeadCreate) -> dict[str, str]:
    return await insert(body)


@app.post("/deals/{deal_id}/close")
async def close_deal(deal_id: uuid.UUID, body: DealCloseRequest) -> dict[str, str]:
    return await insert(body)


@app.post("/tickets", status_code=201)
async def open_ticket(body: TicketCreate) -> dict[str, str]:
    return await insert(body)


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", log_level="warning", access_log=False)
