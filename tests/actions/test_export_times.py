"""What an export promises beside those who commit while it runs."""

import json
from collections.abc import Iterator

import pytest

from app.actions import exports
from app.actions.decisions import Submission, Submitted, submit_many
from app.domain.access import SYSTEM
from app.store.db import Database, WriteTx
from app.store.decisions import Filters
from tests.factories import House, furnish, submission


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "PAGE", 2)
    monkeypatch.setattr(exports, "LINES", 2)


def submitted(tx: WriteTx, house: House, name: str) -> None:
    body = submission(external_id=name) | {"metadata": {}}
    (done,) = submit_many.within(tx, [Submission(house.keys["service"], body, name)])
    assert isinstance(done, Submitted), done


def submit(house: House, *names: str) -> None:
    for name in names:
        with house.db.write() as tx:
            submitted(tx, house, name)


def begun(db: Database) -> Iterator[bytes]:
    return exports.decisions_jsonl(db, SYSTEM, Filters())


def names(chunks: Iterator[bytes]) -> list[str]:
    return [json.loads(line)["external_id"] for line in b"".join(chunks).splitlines()]


def test_what_was_answered_before_an_export_is_in_it_once_and_what_comes_after_is_not(
    db: Database, house: House
) -> None:
    submit(house, "a", "b", "c", "d", "e")
    export = begun(db)
    first = next(export)
    submit(house, "f")
    assert ["a", "b", "c", "d", "e"] == names(iter([first, *export]))
    assert ["a", "b", "c", "d", "e", "f"] == names(begun(db))


def test_who_began_before_an_export_and_commits_behind_its_page_is_in_the_next(fresh_postgres_url: str) -> None:
    db = Database(fresh_postgres_url, pool_size=5)
    house = furnish(db)
    submit(house, "a")
    with db.write() as tx:
        submitted(tx, house, "late")
        submit(house, "b", "c", "d")
        export = begun(db)
        first = next(export)
    seen = names(iter([first, *export]))
    assert ["a", "b", "c", "d"] == seen
    assert ["a", "late", "b", "c", "d"] == names(begun(db))
    db.close()


def test_who_commits_before_its_place_is_read_is_in_the_export(fresh_postgres_url: str) -> None:
    db = Database(fresh_postgres_url, pool_size=5)
    house = furnish(db)
    submit(house, "a", "b", "c")
    with db.write() as tx:
        submitted(tx, house, "late")
        submit(house, "d")
        export = begun(db)  # which reads its first page when it is asked for it
    assert ["a", "b", "c", "late", "d"] == names(export)
    db.close()
