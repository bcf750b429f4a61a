"""Archiving a decision type and routing a decision again, over the API."""

import sqlalchemy as sa
from fastapi.testclient import TestClient

from app.store.db import Database
from app.store.tables import decision
from tests.api.test_bad_input import check_problem
from tests.api.test_calls import claim, rule, submit
from tests.factories import POLICY, House, put_policy, submission

ARCHIVAL = "/api/v1/decision-types/refund/archival"


def test_an_archived_type_takes_no_decisions_until_it_is_restored(client: TestClient, house: House) -> None:
    submit(client, house)
    owner, service = house.headers("owner"), house.headers("service")
    for _ in range(2):
        told = client.post(ARCHIVAL, headers=owner)
        assert (200, True) == (told.status_code, told.json()["archived"])
    check_problem(client.post("/api/v1/decisions", json=submission(), headers=service), 422, "archived_type")
    assert 201 == rule(client, house, claim(client, house)).status_code
    for _ in range(2):
        told = client.delete(ARCHIVAL, headers=owner)
        assert (200, False) == (told.status_code, told.json()["archived"])
    assert 201 == client.post("/api/v1/decisions", json=submission(), headers=service).status_code


def test_archiving_twice_is_one_event(client: TestClient, house: House) -> None:
    for call in (client.post, client.post, client.delete, client.delete):
        call(ARCHIVAL, headers=house.headers("owner"))
    told = client.get("/api/v1/events", params={"object": "refund"}, headers=house.headers("auditor")).json()["data"]
    kinds = [one["type"] for one in told if "archived" in str(one["after"])]
    assert ["decision_type.restored", "decision_type.archived"] == kinds


def test_only_who_may_change_types_archives_them(client: TestClient, house: House) -> None:
    check_problem(client.post(ARCHIVAL, headers=house.headers("reviewer")), 403, "forbidden")
    check_problem(client.delete(ARCHIVAL, headers=house.headers("auditor")), 403, "forbidden")
    missing = ARCHIVAL.replace("refund", "nothing")
    check_problem(client.post(missing, headers=house.headers("owner")), 404, "not_found")


def test_a_decision_is_routed_again_as_it_was_whatever_is_active_now(client: TestClient, house: House) -> None:
    told = submit(client, house, confidence=0.99)
    put_policy(house.db, {**POLICY, "sample": {"rate": 1}})
    again = client.get(f"/api/v1/decisions/{told['id']}/replay", headers=house.headers("auditor")).json()
    assert (True, [], told["policy"]) == (again["same"], again["differs"], again["policy"])
    assert again["stored"] == again["again"]
    assert ("autonomous", "medium", False) == tuple(again["again"][name] for name in ("tier", "stakes", "sampled"))


def test_a_replay_says_what_is_not_as_it_was(client: TestClient, house: House, db: Database) -> None:
    told = submit(client, house)
    with db.write() as tx:
        tx.run(sa.update(decision).values(stakes="low", tier="human_decides"))
    again = client.get(f"/api/v1/decisions/{told['id']}/replay", headers=house.headers("auditor")).json()
    assert (False, ["tier", "stakes"]) == (again["same"], again["differs"])
    assert ["human_decides", "review_required"] == [again[one]["tier"] for one in ("stored", "again")]


def test_a_replay_is_for_auditors(client: TestClient, house: House) -> None:
    told = submit(client, house)
    for who in ("reviewer", "service"):
        answer = client.get(f"/api/v1/decisions/{told['id']}/replay", headers=house.headers(who))
        check_problem(answer, 403, "forbidden")
    answer = client.get("/api/v1/decisions/dec_none/replay", headers=house.headers("auditor"))
    check_problem(answer, 404, "not_found")
