"""The schema: migrations make what the models say, and a database of another version is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from storage.engine import make_engine, parse_url
from storage.errors import SchemaMismatch
from storage.open import open_store
from storage.tables import Table

ROOT = Path(__file__).parents[3]


@pytest.fixture
def url(empty_url):
    """A database of the test's own, with the schema."""
    open_store(empty_url).close()
    return empty_url


@pytest.fixture
def engine(url):
    made = create_engine(url)
    yield made
    made.dispose()


def rules(engine):
    """CHECK constraints and foreign keys of each table: what the comparison of metadata leaves out."""
    found = inspect(engine)
    return {
        table: (
            sorted((check["name"], check["sqltext"]) for check in found.get_check_constraints(table)),
            sorted((key["constrained_columns"], key["options"]) for key in found.get_foreign_keys(table)),
        )
        for table in sorted(Table.metadata.tables)
    }


def test_the_migrations_make_the_tables_of_the_models(engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Table.metadata) == []


def test_the_migrations_make_the_rules_of_the_models(engine) -> None:
    migrated = rules(engine)
    with engine.begin() as connection:
        Table.metadata.drop_all(connection)
        Table.metadata.create_all(connection)
    assert migrated == rules(engine)
    assert any(checks for checks, _ in migrated.values())


def test_migrations_go_down_and_up_again(url) -> None:
    engine = make_engine(parse_url(url))
    config = Config()
    config.set_main_option("script_location", "storage:migrations")
    with engine.execution_options(writes=True).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert set(inspect(connection).get_table_names()) <= {"alembic_version", "sqlite_sequence"}
        command.upgrade(config, "head")
    store = open_store(url, upgrade=False)
    store.create_job({})
    store.close()
    engine.dispose()


def test_a_database_from_before_audits_keeps_its_events_and_their_ids(store, url) -> None:
    job, _ = store.create_job({"name": "topics"})
    before = store.events(job.id)
    assert before
    engine = make_engine(parse_url(url))
    config = Config()
    config.set_main_option("script_location", "storage:migrations")
    with engine.execution_options(writes=True).begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    engine.dispose()
    again = open_store(url)
    assert again.events(job.id) == before
    again.claim_job("loop-1", 60)
    again.update_job(job.id, "loop-1", events=[("audit", {"words": "the lowest rung rises"})])
    told = again.events(job.id)[-1]
    assert told.kind == "audit"
    assert told.id > before[-1].id
    again.close()


def test_opening_again_keeps_what_is_there(store, url) -> None:
    job, _ = store.create_job({"name": "topics"})
    again = open_store(url)
    assert again.job(job.id) == job
    again.close()


def test_a_database_newer_than_the_program_is_refused_and_left_alone(store, url, engine) -> None:
    job, _ = store.create_job({})
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for upgrade in (True, False):
        with pytest.raises(SchemaMismatch, match=r"schema 9999.*newer"):
            open_store(url, upgrade=upgrade)
    assert store.job(job.id) == job
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "9999"


def test_a_database_without_the_schema_is_refused_unless_it_may_be_upgraded(empty_url) -> None:
    with pytest.raises(SchemaMismatch, match="paretune db upgrade"):
        open_store(empty_url, upgrade=False)
    engine = create_engine(empty_url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_migrations_are_found_from_any_folder(empty_url, tmp_path) -> None:
    program = f"from storage.open import open_store; print(open_store({empty_url!r}).create_job({{}})[1])"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "True\n"
