"""The database roles of metrics-worker's processes, and what each may do.

`metrics-replay` makes and swaps tables: it runs as the owner, as `metrics-migrate` does.
"""

from typing import Final

import sqlalchemy as sa

from metrics_worker.api.stream_tickets import signing_key
from metrics_worker.customers.model import PublishedRisk
from metrics_worker.database import reporting_choice
from metrics_worker.ledger.tables import DERIVED, directory_name, freshness, risk_review
from metrics_worker.periods.model import ClosedFigure
from metrics_worker.proofs.model import Proof
from metrics_worker.queries import bi_views
from metrics_worker.schema import TABLES
from metrics_worker.targets.model import Target
from metrics_worker.waiting.model import PublishedWait
from metrics_worker.webhooks.model import Webhook, WebhookDelivery, webhook_progress
from service_kit.audit.entries import audit_entry
from service_kit.consumer.circuit_breaker import circuit_breaker
from service_kit.consumer.dead_letters import dead_letter
from service_kit.consumer.offsets import consumer_offset
from service_kit.database_roles import DatabaseRole
from service_kit.idempotency import idempotency_key
from service_kit.outbox import outbox
from service_kit.published_events import PUBLISHING
from service_kit.relay_lease import relay_lease

_FULL_NAMES: Final = {table.name: table.fullname for table in TABLES}
_TABLES: Final = frozenset(_FULL_NAMES.values())


def full_names(*tables: sa.Table) -> frozenset[str]:
    """Return the names of tables with their schema, which the kit's own tables do not know."""
    return frozenset(_FULL_NAMES[table.name] for table in tables)


_LEDGER: Final = full_names(*DERIVED, directory_name, freshness, consumer_offset, circuit_breaker)
"""What the consumer writes: the ledger, and where it stands in the log."""
# The first consumer of a database chooses what its ledgers follow. `metrics-verify` signs in as the consumer does, and
# stores proofs.
_OF_CONSUMER: Final = _LEDGER | full_names(dead_letter, reporting_choice, Proof.table)
_OF_JOBS: Final = full_names(
    *(outbox, relay_lease, *PUBLISHING, idempotency_key, audit_entry, dead_letter, risk_review),
    *(Target.table, PublishedRisk.table, PublishedWait.table, ClosedFigure.table, Webhook.table, WebhookDelivery.table),
    # Where the feed of webhooks stands in the log.
    *(webhook_progress, consumer_offset, circuit_breaker),
)
_OF_API: Final = (
    _TABLES
    - _LEDGER
    - full_names(relay_lease, *PUBLISHING, reporting_choice, webhook_progress)
    - full_names(PublishedRisk.table, PublishedWait.table, Proof.table)
)

ROLES: Final = (
    DatabaseRole("metrics_api", changes=_OF_API, reads=_TABLES - _OF_API),
    DatabaseRole("metrics_jobs", changes=_OF_JOBS, reads=_TABLES - _OF_JOBS - full_names(signing_key)),
    # Many rows go through temporary tables.
    DatabaseRole("metrics_consumer", changes=_OF_CONSUMER, makes_temporary_tables=True),
    # For people's own SQL.
    DatabaseRole("metrics_bi", reads_schema=bi_views.SCHEMA),
)
