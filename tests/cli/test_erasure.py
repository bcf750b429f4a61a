"""The commands that forget, down to the bytes of the files."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.actions import erasure
from app.actions.decisions import Submission, submit_many
from app.store import tables
from app.store.db import Database
from tests.cli.conftest import Handrail
from tests.factories import House, furnish, person, signer, submission

SECRET = "ada-5512-secret"


def fill(db: Database, house: House, n: int = 60) -> None:
    """Decisions that are full of the secret, in rows that are large and small, among others that are not."""
    for i in range(n):
        body: dict[str, Any] = submission(confidence=0.99, subject=SECRET if i % 3 else f"other {i}")
        body["input"] |= {"customer": {"note": (SECRET if i % 3 else "x") * (i * 7 + 1)}}
        body["metadata"] = {"note": body["subject"]}
        submit_many(db, [Submission(house.keys["service"], body, f"order {i} {body['subject']}")], signer().promise)


def files(url: str) -> dict[str, int]:
    """How often the secret stands in each file of the database."""
    path = Path(url.removeprefix("sqlite:///"))
    return {one.name: one.read_bytes().count(SECRET.encode()) for one in path.parent.glob(f"{path.name}*")}


@pytest.mark.parametrize("open_elsewhere", [False, True], ids=["alone", "beside a server"])
def test_the_files_of_sqlite_hold_nothing_of_an_erased_subject(
    handrail: Handrail, sqlite_url: str, monkeypatch: pytest.MonkeyPatch, open_elsewhere: bool
) -> None:
    monkeypatch.setenv("HANDRAIL_DATABASE_URL", sqlite_url)
    db = Database(sqlite_url)
    fill(db, furnish(db))
    assert sum(files(sqlite_url).values()) > 100
    if not open_elsewhere:
        db.close()
    code, out, err = handrail("erase-subject", SECRET, "--reason", "consent_withdrawn")
    assert (0, "40 decisions were erased", "") == (code, out.partition(":")[0], err)
    assert 0 == sum(files(sqlite_url).values()), files(sqlite_url)
    assert SECRET not in out
    db.close()


def test_what_was_erased_on_a_page_is_gone_from_the_files_after_vacuum(
    handrail: Handrail, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDRAIL_DATABASE_URL", sqlite_url)
    db = Database(sqlite_url)
    fill(db, furnish(db))
    erasure.erase_subject(db, SECRET, "other")
    assert (0, "", "") == handrail("vacuum")
    assert 0 == sum(files(sqlite_url).values()), files(sqlite_url)
    db.close()


def test_both_databases_erase_and_say_how_many(handrail: Handrail, here: str, db: Database, house: House) -> None:
    fill(db, house, 6)
    code, out, err = handrail("erase-subject", SECRET, "--reason", "legal_duty")
    assert (0, "4 decisions were erased") == (code, out.partition(":")[0])
    assert (err == "") == db.is_sqlite
    with db.read() as tx:
        assert 2 == tx.value(sa.select(sa.func.count()).where(tables.decision.c.subject.is_not(None)))
    assert (0, "") == handrail("vacuum", "--vacuum-full")[::2]


@pytest.mark.parametrize(
    ("subject", "reason", "status", "said"),
    [
        ("nobody", "other", 1, "No decision is kept of this subject"),
        (SECRET, "because", 2, "Invalid value for '--reason': 'because' is not one of 'no_longer_needed'"),
        (SECRET, "", 2, "Invalid value for '--reason': '' is not one of"),
    ],
)
def test_what_cannot_be_erased_is_said_in_a_sentence(
    handrail: Handrail, here: str, db: Database, house: House, subject: str, reason: str, status: int, said: str
) -> None:
    fill(db, house, 3)
    code, out, err = handrail("erase-subject", subject, "--reason", reason)
    assert (status, "", True) == (code, out, said in err), err


def test_somebody_who_left_is_erased_by_address(
    handrail: Handrail, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDRAIL_DATABASE_URL", sqlite_url)
    db = Database(sqlite_url)
    house = furnish(db)
    left = person(db, "grace-hopper", "reviewer")
    db.close()
    assert (0, f"{left}\n", "") == handrail("user", "erase", "Grace-Hopper@example.org")
    assert 1 == handrail("user", "erase", "grace-hopper@example.org")[0]
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    assert b"hopper" not in b"".join(one.read_bytes().lower() for one in path.parent.glob(f"{path.name}*"))
    assert 1 == handrail("user", "erase", "nobody@example.org")[0]
    assert left not in house.people.values()
