"""Runs the books' migrations; see service_kit.migrations."""

from metrics_worker.schema import metadata
from service_kit.migrations import run_migrations

run_migrations(metadata)
