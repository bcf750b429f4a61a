"""Lists ask the database a fixed number of questions, however many rows they show."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from app.actions import people, policies, reviews, types
from app.domain.access import SYSTEM, Actor, Grant
from tests.web.house import POLICY, REFUND, House

FEW, MANY = 3, 30
PAGES = {
    "/queue": "lead",
    "/decisions": "auditor",
    "/audit": "auditor",
    "/exports": "auditor",
    "/types": "policy_owner",
    "/policies": "policy_owner",
    "/policies/refund": "policy_owner",
    "/flow": "policy_owner",
    "/people": "admin",
    "/keys": "admin",
}


@pytest.fixture
def grown(house: House) -> House:
    """A house that has a few of everything."""
    return grow(house, range(FEW))


def grow(house: House, numbers: range) -> House:
    """One more of everything for each number: type, policy, waiting and held review, person, key."""
    for n in numbers:
        slug = f"type-{n}"
        queue = {"queue": slug, "slug": slug, "title": slug}
        types.apply(house.db, SYSTEM, {**REFUND, **queue})
        version = policies.draft(house.db, SYSTEM, slug, POLICY.replace("refund", slug))["version"]
        policies.activate(house.db, SYSTEM, slug, version)
        policies.draft(house.db, SYSTEM, "refund", POLICY)
        house.submit(decision_type=slug)
        house.submit(decision_type=slug)
        holder = people.add(house.db, SYSTEM, f"p{n}@example.org", f"P{n}", None, [Grant("reviewer")])["id"]
        actor = Actor("person", holder, "P", person_id=holder, grants=(Grant("reviewer"),))
        reviews.claim_next(house.db, actor, slug)
        people.create_key(house.db, SYSTEM, f"key-{n}", ["decisions:read"], person_id=holder)
    return house


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that any database gets meanwhile."""
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield said
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


def test_the_statements_of_a_list_do_not_grow_with_its_rows(grown: House) -> None:
    browsers = {who: grown.browser(who) for who in set(PAGES.values())}

    def statements() -> dict[str, int]:
        found = {}
        for path, who in PAGES.items():
            with counted() as said:
                browsers[who].get(path)
            assert 200 == browsers[who].status, path
            found[path] = len(said)
        return found

    few = statements()
    grow(grown, range(FEW, MANY))
    assert few == statements()
