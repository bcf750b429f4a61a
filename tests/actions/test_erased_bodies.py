"""After an erasure nothing is left that a guess of the body could be held against, and no try submits it again."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.actions import erasure, reading, retention, types
from app.actions._erase import erase
from app.domain.access import SYSTEM
from app.domain.erasure import UNFIT, Under
from app.store import tables
from app.store.db import Database
from tests.actions.erasing import SECRET, Who, agreed, everything
from tests.factories import REFUND, House, submission

Erase = Callable[[House, Who], Any]
BODY = submission(subject=SECRET, confidence=0.99)
OTHER = submission(subject="somebody else", confidence=0.99)


def by_request(house: House, who: Who) -> Any:
    return agreed(house.db, who)


def by_command(house: House, who: Who) -> Any:
    return erasure.erase_subject(house.db, SECRET, "objection")


def by_retention(house: House, who: Who) -> Any:
    types.apply(house.db, SYSTEM, REFUND | {"retention": {"days": 183}})
    with house.db.write() as tx:
        old = {"created_at": tx.now() - timedelta(days=200), "final_at": tx.now() - timedelta(days=200)}
        tx.run(tables.decision.update().where(tables.decision.c.subject == SECRET).values(old))
    return retention.retain(house.db)


def test_reasons_no_longer_name_places_in_the_input_and_keep_their_codes(
    client: TestClient, house: House, who: Who
) -> None:
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    types.apply(house.db, SYSTEM, REFUND | {"input_schema": schema, "on_invalid_input": "human_decides"})
    body = submission(subject=SECRET) | {"input": {f"{SECRET}-key": "no number"}}
    told = client.post("/api/v1/decisions", json=body, headers=house.headers("service")).json()
    assert any(f"{SECRET}-key" in one["text"] for one in told["reasons"])
    client.post(f"/api/v1/decisions/{told['id']}/cancellation", headers=house.headers("service"))
    agreed(house.db, who)
    view = reading.decision(house.db, who("auditor"), told["id"])
    assert [one["code"] for one in told["reasons"]] == [one["code"] for one in view["reasons"]]
    for before, after in zip(told["reasons"], view["reasons"], strict=True):
        assert (UNFIT if before["code"] == "input_invalid" else before["text"]) == after["text"]
    assert SECRET not in everything(house.db)


def kept(db: Database) -> set[str]:
    with db.read() as tx:
        prints = [tx.rows(sa.select(table.c.fingerprint)) for table in (tables.idempotency, tables.decision)]
    return {row.fingerprint for rows in prints for row in rows}


def decisions(db: Database) -> int:
    with db.read() as tx:
        return int(tx.value(sa.select(sa.func.count()).select_from(tables.decision)))


@pytest.mark.parametrize("erase", [by_request, by_command, by_retention])
def test_no_digest_of_an_erased_body_is_kept_and_its_key_submits_nothing_more(
    client: TestClient, house: House, who: Who, erase: Erase
) -> None:
    def submit(key: str, body: Any, path: str = "") -> Any:
        headers = house.headers("service", Idempotency_Key=key)
        return client.post(f"/api/v1/decisions{path}", json=body, headers=headers)

    assert 201 == submit("other", OTHER).status_code
    stays = kept(house.db)
    assert 201 == submit("alone", BODY).status_code
    batch = submit("batch", [BODY, OTHER], "/batch").json()["results"]
    assert [201, 201] == [one["status"] for one in batch]
    count = decisions(house.db)
    assert len(kept(house.db)) > len(stays)
    erase(house, who)
    assert stays | {""} == kept(house.db)
    refused = submit("alone", BODY)
    assert (422, "idempotency_key_reused") == (refused.status_code, refused.json()["code"])
    assert "was erased" in refused.json()["detail"]
    first, second = submit("batch", [BODY, OTHER], "/batch").json()["results"]
    assert (422, "idempotency_key_reused") == (first["status"], first["problem"]["code"])
    assert batch[1]["decision"] == second["decision"]
    assert "true" == submit("other", OTHER).headers["Idempotent-Replayed"]
    assert count == decisions(house.db)
    assert 201 == submit("a new one", BODY).status_code


def test_a_twin_with_the_same_body_keeps_its_answer(client: TestClient, house: House, who: Who) -> None:
    """One of the two is under legal hold, so it is not erased, and its key goes on answering."""
    body = {**BODY, "external_id": None}
    first, second = (
        client.post("/api/v1/decisions", json=body, headers=house.headers("service", Idempotency_Key=key)).json()
        for key in ("first", "second")
    )
    erasure.hold(house.db, who("admin"), second["id"], "litigation")
    with house.db.write() as tx:
        assert [first["id"]] == erase(tx, SYSTEM, [first["id"], second["id"]], Under.REQUEST)
    codes = {}
    for key in ("first", "second"):
        again = client.post("/api/v1/decisions", json=body, headers=house.headers("service", Idempotency_Key=key))
        codes[key] = (again.status_code, again.json().get("id"))
    assert {"first": (422, None), "second": (201, second["id"])} == codes
