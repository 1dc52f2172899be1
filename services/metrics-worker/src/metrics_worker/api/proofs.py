"""GET /v1/proofs.

`metrics-verify` compares the ledger with the log, and stores each proof; the last 100 are kept. An empty list: never
yet.
"""

from typing import Annotated

from pydantic import Field

from metrics_worker.proofs.model import Proof
from metrics_worker.proofs.queries import PROOF_ROWS
from metrics_worker.proofs.schemas import ProofRead
from service_kit.fields import Moment, Name, plain_digits
from service_kit.resources import Resource

proofs = Resource(
    "/proofs/{proof_id}",
    Proof.table,
    ProofRead,
    filters={
        "began_at": Moment,
        "ended_at": Moment,
        "differences_found": Annotated[int, Field(ge=0, le=10**18 - 1, examples=[1]), plain_digits],
        "release": Annotated[Name, Field(examples=["0.1.0"])],
    },
    sorts=("ended_at", "differences_found"),
    rows=PROOF_ROWS,
    is_small=True,
)
proofs.read_routes(list_as="list_proofs")
