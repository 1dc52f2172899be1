"""Runs the migrations of sales; see service_kit.migrations."""

from sales_api.database_roles import ROLES
from sales_api.schema import metadata
from service_kit.migrations import run_migrations

run_migrations(metadata, roles=ROLES)
