"""What an export promises: the database writes the very bytes that Python would, and nobody sees what is hidden."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.actions import _views, exports, reviews, verdicts
from app.domain.access import Actor, Grant
from app.domain.events import timestamp
from app.domain.review import Action, Said
from app.store import _spelling, tables
from app.store.db import Database
from app.store.decisions import Filters
from tests.actions.test_promises import actor, submit
from tests.factories import POLICY, House, put_policy

AUDITOR = Actor("person", "usr_a", "Audra", person_id="usr_a", grants=(Grant("auditor"),))
NASTY = (
    "=1+1", "  @x", "\u200b\ufeff-2", "\t tab", "\r\n", 'say "no", twice', "plain, or not", "\u00a0＝x", 
    "é\u2028\u3000",
    "\x7f\x01\x1f\\", "", " ", "+", "😀", "a\nb", "'", "null", "\u3000+1", "\x1c-1", "\x85=",
    '","quotes_proposal":true}',
    "100%", "%s", ":x", "{0}",
)  # fmt: skip
Export = Callable[[Database, Actor, Filters], Iterator[bytes]]


@pytest.fixture
def busy(house: House) -> House:
    """Decisions of every kind, with texts that are easy to get wrong."""
    document = {**POLICY, "sample": {"rate": 1.0}}
    put_policy(house.db, document)
    for number, text in enumerate(NASTY):
        proposal = {
            "outcome": "approve",
            "confidence": 0.1 + number / 31,
            "explanation": text,
            "scores": {"confidence": 2},
        }
        model = {"name": text, "version": text if number % 2 else None}
        submit(
            house, proposal=proposal, model=model, subject=text, external_id=text, metadata={text: [text, None, 1e-7]}
        )
    submit(house, proposal={"outcome": "deny"}, model={"name": "m"})
    submit(house, proposal={"outcome": "deny", "confidence": None}, model={"name": "m"})
    submit(house, proposal={"outcome": "deny", "confidence": 1}, model={"name": "m"})
    for number, text in enumerate(NASTY):
        _rule(house, "reviewer" if number % 3 else "second", text, number)
    reviews.claim_next(house.db, actor(house, "second", Grant("reviewer")))
    return house


def _rule(house: House, who: str, text: str, number: int) -> None:
    me = actor(house, who, Grant("reviewer"))
    claimed = reviews.claim_next(house.db, me)
    if isinstance(claimed, reviews.Nothing):
        return
    said = Said(Action.ESCALATE, None, None, text) if number % 4 == 0 else Said(Action.DECIDE, "deny", "fraud", text)
    for _ in range(2):
        action = "override" if claimed["tier"] != "human_decides" and said.action is Action.DECIDE else said.action
        spoken = Said(Action(action), said.outcome, said.reason_code, said.rationale)
        try:
            done = verdicts.give_verdict(house.db, me, claimed["id"], claimed["lease"]["token"], spoken)
        except Exception:
            done = verdicts.give_verdict(
                house.db, me, claimed["id"], claimed["lease"]["token"], Said(Action.ESCALATE, None, None, text or "x")
            )
        if isinstance(done, verdicts.Ruled):
            return


@pytest.mark.parametrize("export", [exports.decisions_jsonl, exports.decisions_csv])
@pytest.mark.parametrize("page", [7, 2500])
def test_the_database_writes_what_python_would(busy: House, export: Export, page: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(exports, "LINES", page)
    filters = Filters(until=_now(busy.db))
    by_database = b"".join(export(busy.db, AUDITOR, filters))
    monkeypatch.setattr(_views, "sees_all", lambda *_: False)
    by_python = b"".join(export(busy.db, AUDITOR, filters))
    assert by_python.decode().splitlines() == by_database.decode().splitlines()
    assert by_python == by_database
    with busy.db.read() as tx:
        assert tx.value(sa.select(sa.func.count()).select_from(tables.verdict)) > 10


def _now(db: Database) -> datetime:
    with db.read() as tx:
        return tx.now()


def test_an_export_ends_at_the_moment_it_began(busy: House) -> None:
    stream = exports.decisions_jsonl(busy.db, AUDITOR, Filters())
    submit(busy, subject="late")
    assert "late" not in {json.loads(line)["subject"] for line in b"".join(stream).splitlines()}


def test_who_could_judge_gets_no_line_with_a_hidden_proposal(busy: House) -> None:
    both = actor(busy, "reviewer", Grant("reviewer"), Grant("auditor"))
    lines = [json.loads(line) for line in b"".join(exports.decisions_jsonl(busy.db, both, Filters())).splitlines()]
    blind = [line for line in lines if any(one["blind"] and one["state"] == "open" for one in line["reviews"])]
    assert blind
    assert {True} == {line["proposal_hidden"] for line in blind if not line["reviews"][0]["verdicts"]}


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    number=st.decimals(0, 1, places=15).map(float),
    moment=st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001
)
def test_texts_fractions_and_times_are_spelt_as_python_does(
    db: Database, text: str, number: float, moment: datetime
) -> None:
    at = moment.replace(tzinfo=UTC)
    values = sa.select(
        sa.literal(text, sa.Text).label("text"),
        sa.cast(sa.literal(number), sa.Double).label("number"),
        sa.literal(at, tables.decision.c.created_at.type).label("moment"),
    ).subquery()
    query = sa.select(
        _spelling.json_text(values.c.text), _spelling.fraction(values.c.number), _spelling.timestamp(values.c.moment)
    )
    with db.read() as tx:
        assert (json.dumps(text, ensure_ascii=False), repr(number), timestamp(at)) == tuple(tx.row(query) or ())
