"""What changing a decision type promises about its queue."""

import json

import pytest

from app.actions import reading, types
from app.domain.access import SYSTEM, Actor, Grant
from app.domain.errors import Forbidden
from app.store.db import Database
from tests.factories import REFUND, House


def owner_of(decision_type: str) -> Actor:
    return Actor("person", "usr_x", "Owner", person_id="usr_x", grants=(Grant("policy_owner", decision_type),))


def leases(db: Database) -> list[object]:
    return [json.loads(json.dumps(one["after"])) for one in reading.event_list(db, SYSTEM, type="queue.changed").data]


def test_a_new_lease_length_is_an_event_and_the_same_one_is_not(db: Database, house: House) -> None:
    before = leases(db)
    types.apply(db, SYSTEM, dict(REFUND))
    assert before == leases(db)
    types.apply(db, SYSTEM, {**REFUND, "lease": "5m"})
    assert [{"lease_seconds": 300}, *before] == leases(db)


def test_the_owner_of_one_type_cannot_change_the_lease_of_a_queue_that_serves_others(
    db: Database, house: House
) -> None:
    types.apply(db, SYSTEM, {**REFUND, "slug": "voucher"})
    before = leases(db)
    with pytest.raises(Forbidden, match="serves other types"):
        types.apply(db, owner_of("voucher"), {**REFUND, "slug": "voucher", "lease": "5m"})
    assert before == leases(db)
