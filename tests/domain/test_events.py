"""An event's body is put together from parts; it must be the canonical JSON of the whole."""

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.domain.access import Actor
from app.domain.canonical import canonical
from app.domain.events import Event, EventType

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
MAPS = st.dictionaries(TEXT, VALUES, max_size=4)
MAYBE = st.none() | TEXT
NONCE = bytes(range(16))
AT = datetime(2026, 11, 24, 9, 8, tzinfo=UTC)


@given(
    st.sampled_from(EventType), TEXT, MAYBE, st.none() | MAPS, MAPS, st.none() | st.integers(1, 9), TEXT, MAYBE, MAYBE
)
def test_the_body_of_any_event_is_the_canonical_json_of_what_it_says(
    type: EventType, id: str, decision: str | None, before: Any, data: Any, version: int | None, name: str,
    person: str | None, request_id: str | None,
) -> None:  # fmt: skip
    actor = Actor(kind="key", id=name, name=name, person_id=person, key_id=id, request_id="req_actor")
    one = Event(type, id, decision, name, before, data, data, {"input": "00"}, version, name)
    body = one.body("evt_1", AT, actor, nonce=NONCE, version=version, request_id=request_id)
    told = json.loads(body)
    assert canonical(told) == body
    assert told == {
        "v": 2, "nonce": NONCE.hex(), "commitments": {"input": "00"}, "id": "evt_1",
        "time": "2026-11-24T09:08:00.000000Z", "type": type.value,
        "actor": {"kind": "key", "id": name, "person": person, "key": id},
        "object": {"type": type.value.partition(".")[0], "id": id, "version": version},
        "decision": decision, "decision_type": name,
        "policy": version and {"version": version, "digest": name},
        "request_id": request_id or "req_actor", "before": before, "after": data, "data": data,
    }  # fmt: skip
