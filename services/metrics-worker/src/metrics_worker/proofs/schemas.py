"""The form of proofs over HTTP."""

from typing import Annotated, Literal

from metrics_worker.proofs.model import DIFFERENCES_KEPT
from metrics_worker.queries.fields import FreshAsOf
from service_kit.fields import Moment, ReadModel, RecordId, described


class DifferenceRead(ReadModel):
    """A place at which ledger and log are not the same."""

    table: Annotated[str, described("The table of the ledger.", "block")]
    key: Annotated[list[str], described("What names the row in it.", ["deal", "region", "EMEA", "month", "2026-03-01"])]
    sides: Annotated[
        dict[str, str],
        described(
            "What each side holds, by its name, such as `log` and `ledger`; JSON, and cut when it is long.",
            {"log": '{"cells":{"1":2}}', "blocks": '{"cells":{"1":3}}'},
        ),
    ]


class ProofRead(ReadModel):
    """A run of `metrics-verify` that came to its end: it read the whole log anew and compared the ledger with it."""

    id: RecordId
    result: Annotated[
        Literal["exact", "differs"],
        described("Whether sums, postings and log agreed to the unit.", "exact", schema="ProofResult"),
    ]
    began_at: Moment
    """When the comparison began."""
    ended_at: Moment
    """When it ended."""
    fresh_as_of: FreshAsOf | None
    events: Annotated[int, described("How many records of the log were read.", 48211)]
    subjects: Annotated[int, described("Of how many deals, tickets and so on the newest state was compared.", 9120)]
    blocks: Annotated[int, described("How many rows of sums were compared; all figures are made of them.", 15310)]
    differences_found: Annotated[int, described("How many differences there were; 0 when exact.", 0)]
    differences: Annotated[
        list[DifferenceRead], described(f"The first of them, {DIFFERENCES_KEPT} at most; `metrics-verify` prints more.")
    ]
    release: Annotated[str, described("The release of metrics-worker that compared them.", "0.1.0")]
    rebuilt_since: Annotated[
        bool, described("Whether the ledger has been made anew since: the proof is of another one.", False)
    ]
