"""Runs the ledger's migrations, and then creates the views over its tables; see service_kit.migrations."""

from metrics_worker.database import AUTHORITATIVE
from metrics_worker.database_roles import ROLES
from metrics_worker.queries.bi_views import drop_views, make_views
from metrics_worker.schema import authoritative, derived
from service_kit.migrations import run_migrations

run_migrations(derived, authoritative, schema=AUTHORITATIVE, roles=ROLES, beforehand=drop_views, afterwards=make_views)
