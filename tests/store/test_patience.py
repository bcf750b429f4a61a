"""Whatever the database does or leaves undone, a caller is told in time that it is away."""

import threading
import time

import pytest
import sqlalchemy as sa

from app.domain.errors import Unavailable
from app.store import _patience
from app.store.db import RETRIES, Database, WriteTx, driver_url, request_begins, request_rests, writes
from tests.faults.proxy import Proxy, upstream


def test_a_network_that_says_nothing_is_not_waited_for(
    fresh_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_patience, "TRANSACTION", 0.3)
    monkeypatch.setattr(_patience, "PING", 0.3)
    url = driver_url(fresh_postgres_url)
    with Proxy(upstream(url)) as proxy:
        db = Database(proxy.url(url), pool_size=1)
        started = time.monotonic()
        with pytest.raises(Unavailable), db.read() as tx:  # noqa: PT012
            tx.value(sa.text("SELECT 1"))
            proxy.freeze()
            tx.value(sa.text("SELECT 2"))
        assert time.monotonic() - started < 5
        proxy.thaw()
        with db.read() as tx:
            assert 3 == tx.value(sa.text("SELECT 3"))
        db.close()


def test_a_request_that_has_waited_long_enough_does_not_begin_again(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_patience, "REQUEST", -1.0)
    request_begins()
    with pytest.raises(Unavailable), db.read() as tx:
        tx.now()
    request_rests()
    with db.read() as tx:
        assert 1 == tx.value(sa.text("SELECT 1"))


def test_the_writer_of_sqlite_is_not_waited_for_without_end(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_patience, "WRITER", 0.05)
    db, refused = Database(sqlite_url), []

    def write() -> None:
        try:
            with db.write() as tx:
                tx.now()
        except Unavailable as error:
            refused.append(error)

    with db.write():
        other = threading.Thread(target=write)
        other.start()
        other.join()
    db.close()
    assert 1 == len(refused)


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_what_is_retried_in_vain_is_unavailable_and_no_fault_of_ours(fresh_postgres_url: str, state: str) -> None:
    tries = []

    @writes
    def fall(tx: WriteTx) -> None:
        tries.append(1)
        tx.run(sa.text(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$"))

    db = Database(fresh_postgres_url)
    with pytest.raises(Unavailable):
        fall(db)
    db.close()
    assert RETRIES == len(tries)


@pytest.mark.parametrize("state", ["25P03", "25006", "53300", "55P03", "57014", "57P01", "08006"])
def test_what_says_that_the_database_is_away_is_unavailable(fresh_postgres_url: str, state: str) -> None:
    db = Database(fresh_postgres_url)
    with pytest.raises(Unavailable), db.write() as tx:
        tx.run(sa.text(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$"))
    db.close()


def test_a_migration_takes_as_long_as_it_takes(fresh_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_patience, "TRANSACTION", 0.2)
    db = Database(fresh_postgres_url)
    with db.write() as tx:
        db.hold_schema_lock(tx)
        limits = [tx.value(sa.text(f"SHOW {name}")) for name in ("statement_timeout", "lock_timeout")]
        tx.run(sa.text("SELECT pg_sleep(0.4)"))
    db.close()
    assert ["0", "0"] == limits
