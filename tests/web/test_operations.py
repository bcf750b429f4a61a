"""The operations page: how the installation is doing, and trying again, without scripts."""

from datetime import timedelta
from pathlib import Path

from app.actions import operations
from app.settings import Settings
from app.targets import plan_of
from app.worker import duties, run_once
from tests.factories import signer
from tests.poison import poisoned
from tests.web.house import House


def test_the_page_tells_workers_duties_queues_database_and_what_is_set_aside(house: House) -> None:
    admin = house.browser("admin")
    assert "No worker was ever seen" in admin.get("/operations")
    assert "Nothing is set aside" in admin.text
    given = house.submit()
    house.db.offset = timedelta(days=2)
    with poisoned(house.db, given["review"]["id"]):
        run_once(house.db, "here-1")
    house.db.offset = timedelta()
    admin = house.browser("admin")  # two days have ended the session of before
    page = admin.get("/operations")
    for words in ("here-1", "Announce reviews that are overdue", "refunds", "MiB", given["review"]["id"], "Try again"):
        assert words in page
    assert ("SQLite" if house.db.is_sqlite else "PostgreSQL") in page


def test_the_page_tells_how_the_audit_tree_stands_and_where_it_was_pushed(house: House, tmp_path: Path) -> None:
    admin = house.browser("admin")
    assert "Checkpoints are not signed" in admin.get("/operations")
    path = tmp_path / "checkpoint"
    run_once(house.db, todo=duties(signer(), plan_of(Settings(push_file=str(path)))))
    page = admin.get("/operations")
    for words in ("Seal events into the audit tree", "Signed for", f"file {path}"):
        assert words in page


def test_a_row_is_tried_again_from_the_page_and_the_answer_says_how_it_went(house: House) -> None:
    given = house.submit()
    review = given["review"]["id"]
    house.db.offset = timedelta(days=2)
    admin = house.browser("admin")
    with poisoned(house.db, review):
        run_once(house.db)
        admin.get("/operations")
        admin.post("/operations/try-again", duty="announce_overdue", object=review)
        assert admin.notice.startswith("It failed again: ")
    admin.post("/operations/try-again", duty="announce_overdue", object=review)
    assert "Done: the row is processed." == admin.notice
    assert {} == operations.set_aside_counts(house.db)
    admin.post("/operations/try-again", duty="announce_overdue", object=review)
    assert 404 == admin.status


def test_only_administrators_see_it(house: House) -> None:
    for role in ("reviewer", "lead", "policy_owner", "auditor"):
        browser = house.browser(role)
        assert "/operations" not in browser.text
        browser.get("/operations")
        assert 403 == browser.status
