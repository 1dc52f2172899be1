"""Runs the service's migrations; see service_kit.migrations."""

from service_api.database_roles import ROLES
from service_api.schema import metadata
from service_kit.migrations import run_migrations

run_migrations(metadata, roles=ROLES)
