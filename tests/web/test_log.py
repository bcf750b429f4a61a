"""The pages of the audit log without scripts: checkpoint, proof of an event, consistency, and who may see them."""

import re
from pathlib import Path

import sqlalchemy as sa

from app.actions import audit, people
from app.domain.access import SYSTEM
from app.domain.notes import parse_checkpoint, parse_note
from app.settings import Settings
from app.store.tables import event, tree_head
from app.targets import plan_of
from app.worker import duties, run_once
from tests.factories import signer
from tests.web.house import House


def sealed(house: House) -> int:
    """The house's log, signed; its size."""
    house.app.state.signer = signer()
    audit.seal(house.db, signer())
    with house.db.read() as tx:
        return int(tx.value(sa.select(tree_head.c.size)))


def test_the_log_says_what_is_missing_before_there_is_a_key(house: House) -> None:
    page = house.browser("auditor").get("/audit/log")
    for words in ("none yet", "Checkpoints are not signed", "Checkpoints go nowhere by themselves yet"):
        assert words in page


def test_the_log_tells_checkpoint_root_key_and_where_it_was_pushed(house: House, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    house.app.state.signer = signer()
    run_once(house.db, todo=duties(signer(), plan_of(Settings(push_file=str(path)))))
    browser = house.browser("auditor")
    page = browser.get("/audit/log")
    checkpoint = parse_checkpoint(parse_note(path.read_text()).text)
    for words in (f"{checkpoint.size} events, signed", checkpoint.root.hex(), signer().vkeys[0], f"file {path}"):
        assert words in page
    assert path.read_text() == browser.get("/audit/log/checkpoint")


def test_an_event_is_shown_with_its_bytes_and_the_path_to_the_root(house: House) -> None:
    told = house.submit()["event"]["id"]
    browser = house.browser("auditor")
    assert "The event is not sealed yet" in browser.get(f"/audit/events/{told}")
    size = sealed(house)
    page = browser.get(f"/audit/events/{told}")
    for words in ("The AI service submitted the decision", "Checked by the server", f"checkpoint of {size} events"):
        assert words in page
    with house.db.read() as tx:
        root = tx.value(sa.select(tree_head.c.root)).hex()
    assert re.search(rf'<li class="end"><span class="hash">{root}</span>', page)
    assert browser.get(f"/audit/events/{told}/proof").startswith("c2sp.org/tlog-proof@v1\nindex ")
    assert f'href="/audit/events/{told}"' in browser.get("/audit")


def test_a_changed_event_is_said_to_be_changed(house: House) -> None:
    told = house.submit()["event"]["id"]
    sealed(house)
    with house.db.write() as tx:
        tx.run(sa.text("DROP TRIGGER " + ("event_no_update" if house.db.is_sqlite else "event_no_change ON event")))
        body = tx.value(sa.select(event.c.body).where(event.c.id == told))
        tx.run(event.update().where(event.c.id == told).values(body=body.replace(b"pending", b"neglect")))
    page = house.browser("auditor").get(f"/audit/events/{told}")
    assert "what is stored was changed" in page
    assert "Checked by the server" not in page


def test_who_may_still_judge_a_decision_does_not_see_the_bytes_of_its_events(house: House) -> None:
    told = house.submit(confidence=0.5)["event"]["id"]
    sealed(house)
    both = house.browser("auditor")
    assert "were hashed, in one line" in both.get(f"/audit/events/{told}")
    people.grant(house.db, SYSTEM, house.ids["auditor"], "reviewer")
    page = both.get(f"/audit/events/{told}")
    assert "that you may still have to judge" in page
    assert "Checked by the server" in page
    assert '"body": null' in page


def test_two_sizes_are_compared_and_wrong_ones_are_refused_in_words(house: House) -> None:
    old = sealed(house)
    house.submit()
    new = sealed(house)
    browser = house.browser("auditor")
    page = browser.get(f"/audit/log?from={old}")
    assert f"The tree of {new} events begins with the {old} events of the older one" in page
    for query, words in (
        (f"from={new + 5}", f"Must be a size from 1 to {new}"),
        ("from=x", "Say the size of a checkpoint"),
        ("from=0", "Must be a size"),
        (f"from=1&to={2**64}", "Say the size of a checkpoint"),
    ):
        page = browser.get(f"/audit/log?{query}")
        assert (422, True) == (browser.status, words in page), query


def test_a_decision_says_which_checkpoint_proves_it(house: House) -> None:
    decision = house.submit()["id"]
    browser = house.browser("auditor")
    assert "nothing is signed yet" in browser.get(f"/decisions/{decision}")
    size = sealed(house)
    assert f"Proved by checkpoint {size}" in browser.get(f"/decisions/{decision}")
    assert "Proved by" not in house.browser("lead").get(f"/decisions/{decision}")


def test_only_who_may_read_the_audit_trail_sees_the_log(house: House) -> None:
    told = house.submit()["event"]["id"]
    sealed(house)
    for role in ("reviewer", "lead", "policy_owner"):
        browser = house.browser(role)
        for path in ("/audit/log", "/audit/log/checkpoint", f"/audit/events/{told}", f"/audit/events/{told}/proof"):
            browser.get(path)
            assert 403 == browser.status, (role, path)
    for path in ("/audit/events/nope", "/audit/events/nope/proof", "/audit/events/%00"):
        browser = house.browser("auditor")
        browser.get(path)
        assert browser.status in (404, 422), path
