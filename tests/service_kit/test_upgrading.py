"""The rehearsal of upgrades notices what a migration loses: proven on two revisions of its own."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.upgrading import upgraded_step_by_step

ENV = """
import sqlalchemy as sa
from service_kit.migrations import run_migrations
run_migrations(sa.MetaData())
"""
INITIAL = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0001", None
def upgrade():
    op.create_table("box", sa.Column("id", sa.Uuid, primary_key=True), sa.Column("name", sa.Text, nullable=False))
"""
SECOND = """
from alembic import op
revision, down_revision = "0002", "0001"
def upgrade():
    op.execute("{statement}")
"""


def service(folder: Path, statement: str) -> ModuleType:
    """A package with two migrations, of which the second executes a statement."""
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "migrations" / "env.py").write_text(ENV)
    (versions / "0001_initial.py").write_text(INITIAL)
    (versions / "0002_second.py").write_text(SECOND.format(statement=statement))
    package = ModuleType("rehearsed")
    package.__file__ = str(folder / "__init__.py")
    return package


@pytest.mark.parametrize(
    "statement", ["ALTER TABLE box ADD COLUMN size integer", "CREATE TABLE shelf (id uuid PRIMARY KEY)"]
)
async def test_a_migration_that_adds_something_passes(
    new_database: Callable[[str], str], tmp_path: Path, statement: str
) -> None:
    await upgraded_step_by_step(new_database("rehearsed"), service(tmp_path, statement), {})


@pytest.mark.parametrize(
    "statement", ["DELETE FROM box", "UPDATE box SET name = 'another'", "ALTER TABLE box DROP COLUMN name"]
)
async def test_a_migration_that_loses_something_fails(
    new_database: Callable[[str], str], tmp_path: Path, statement: str
) -> None:
    with pytest.raises(AssertionError, match="0002"):
        await upgraded_step_by_step(new_database("rehearsed"), service(tmp_path, statement), {})
