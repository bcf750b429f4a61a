"""Bad input gets a clear problem on both databases, stores nothing, and the next request is served."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.actions import types
from app.domain.access import SYSTEM
from app.store.db import Database
from tests.api.bad import table
from tests.factories import REFUND, House, submission

SECRET = "do-not-echo-4711"


def check_problem(answer: Any, status: int, code: str, pointer: str | None = None) -> None:
    assert (status, "application/problem+json") == (answer.status_code, answer.headers["content-type"]), answer.text
    told = answer.json()
    assert {"type", "title", "status", "detail", "code", "errors", "request_id"} <= set(told)
    assert (status, code, f"urn:handrail:problem:{code}") == (told["status"], told["code"], told["type"])
    assert answer.headers["x-request-id"] == told["request_id"]
    if pointer is not None:
        assert pointer in [one["pointer"] for one in told["errors"]], told


def stored(db: Database) -> tuple[int, int]:
    with db.read() as tx:
        count = "SELECT (SELECT count(*) FROM decision), (SELECT count(*) FROM review)"
        return tuple(tx.connection.exec_driver_sql(count).one())  # type: ignore[return-value]


def test_every_bad_submission_is_refused_by_name_and_nothing_is_stored(
    client: TestClient, house: House, db: Database
) -> None:
    types.apply(db, SYSTEM, dict(REFUND, slug="archived"))
    types.archive(db, SYSTEM, "archived")
    cases = table()
    assert len(cases) >= 250
    assert len(cases) == len({case.name for case in cases})
    for case in cases:
        headers = house.headers("service", **({"Content_Type": case.media_type} if case.media_type else {}))
        raw_headers = [(k.encode(), v.encode("latin-1")) for k, v in headers.items()]
        answer = client.post("/api/v1/decisions", content=case.raw, headers=raw_headers)
        try:
            check_problem(answer, case.status, case.code, case.pointer)
        except AssertionError as failed:
            raise AssertionError(f"{case.name}: {failed}") from failed
    assert (0, 0) == stored(db)
    assert 201 == client.post("/api/v1/decisions", json=submission(), headers=house.headers("service")).status_code


@pytest.mark.parametrize(
    "body",
    [
        submission(decision_type=SECRET), submission(confidence=SECRET), submission(external_id=SECRET * 50),
        submission(**{SECRET * 9: 1}), submission(input={"amount_cents": SECRET}),
        submission(proposal={"outcome": SECRET}), submission(stakes=[SECRET]), SECRET, [SECRET],
    ],
)  # fmt: skip
def test_a_refusal_never_echoes_the_input(client: TestClient, house: House, body: Any) -> None:
    answer = client.post("/api/v1/decisions", json=body, headers=house.headers("service"))
    assert 422 == answer.status_code
    assert SECRET not in answer.text


def test_a_type_without_a_policy_takes_decisions_and_people_decide(
    client: TestClient, house: House, db: Database
) -> None:
    types.apply(db, SYSTEM, dict(REFUND, slug="bare"))
    told = client.post("/api/v1/decisions", json=submission(decision_type="bare"), headers=house.headers("service"))
    assert (201, "human_decides") == (told.status_code, told.json()["tier"])
    assert ["no_active_policy"] == [one["code"] for one in told.json()["reasons"]]


@pytest.mark.parametrize("confidence", [None, 0, 1, 0.0, 1.0, 5e-324])
def test_every_confidence_from_0_to_1_and_none_at_all_is_taken(
    client: TestClient, house: House, confidence: float | None
) -> None:
    told = client.post("/api/v1/decisions", json=submission(confidence=confidence), headers=house.headers("service"))
    assert 201 == told.status_code, told.text


AWKWARD = (
    "/api/v1/decisions?limit=0", "/api/v1/decisions?limit=201", "/api/v1/decisions?limit=x",
    "/api/v1/decisions?limit=1e3", "/api/v1/decisions?limit=" + "9" * 5_000, "/api/v1/decisions?cursor=x",
    "/api/v1/decisions?cursor=bnVsbA", "/api/v1/decisions?cursor=W10", "/api/v1/decisions?cursor=%00",
    "/api/v1/decisions?cursor=WyIyMDI2LTAxLTAxIiwgIlx1MDAwMCJd", "/api/v1/decisions?cursor=" + "A" * 400,
    "/api/v1/decisions?cursor=W1tbW1tbW1tbW1tb", "/api/v1/decisions?from=yesterday", "/api/v1/decisions?from=2026-13-01",  # noqa: E501
    "/api/v1/decisions?from=123", "/api/v1/decisions?from=9999-12-31T23:59:59-23:59",
    "/api/v1/decisions?to=0001-01-01T00:00:00%2B23:59", "/api/v1/decisions?to=2026-01-01T00:00:00",
    "/api/v1/decisions?to=%00", "/api/v1/decisions?type=%00", "/api/v1/decisions?model=a%00b",
    "/api/v1/decisions?subject=", "/api/v1/decisions?tier=fast", "/api/v1/decisions?status=open",
    "/api/v1/decisions?overturned=maybe", "/api/v1/decisions?typo=refund", "/api/v1/decisions/x?wait=31",
    "/api/v1/decisions/x?wait=-1", "/api/v1/decisions/x?wait=x", "/api/v1/events?type=nope",
    "/api/v1/events?object=%00", "/api/v1/events?actor=%00", "/api/v1/events?limit=1000", "/api/v1/events?nope=1",
    "/api/v1/exports/decisions.csv?from=x", "/api/v1/exports/decisions.jsonl?type=%00",
    "/api/v1/exports/decisions.csv?limit=1", "/api/v1/decision-types/refund/policies/0",
    "/api/v1/decision-types/refund/policies/x", "/api/v1/decision-types/refund/policies/99999999999999999999",
)  # fmt: skip
NOWHERE = (
    "/api/v1/decisions/x", "/api/v1/decisions/%00", "/api/v1/decisions/dec_%00/events", "/api/v1/decisions/%ED%A0%80",
    "/api/v1/reviews/%00", "/api/v1/reviews/x", "/api/v1/decision-types/%00", "/api/v1/decision-types/nope",
    "/api/v1/decision-types/nope/policies", "/api/v1/decision-types/refund/policies/99", "/api/v1", "/api/", "/api/v2/x",  # noqa: E501
    "/api/v1/decisions/", "/api/v1/decisions/a/b/c", "/api/v1/%2e%2e/decisions", "/api/v1/exports/decisions.xml",
)  # fmt: skip


def test_bad_parameters_are_named_and_unknown_places_are_404(client: TestClient, house: House) -> None:
    for path in AWKWARD:
        who = "owner" if "decision-types" in path else "auditor"
        answer = client.get(path, headers=house.headers(who))
        assert (422, True) == (answer.status_code, bool(answer.json()["errors"])), (path, answer.text)
    for path in NOWHERE:
        answer = client.get(path, headers=house.headers("admin"))
        assert (404, "not_found") == (answer.status_code, answer.json()["code"]), (path, answer.text)


def test_a_wrong_method_is_405_and_says_which_ones_the_address_takes(client: TestClient, house: House) -> None:
    answer = client.delete("/api/v1/decisions", headers=house.headers("service"))
    check_problem(answer, 405, "method_not_allowed")
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer ", "Bearer hr_x", "Basic aGk6aGk=", "Bearer " + "x" * 9_000])
@pytest.mark.parametrize(("method", "path"), [("POST", "/api/v1/decisions"), ("GET", "/api/v1/decisions")])
def test_nobody_we_know_gets_a_401_before_the_body_is_judged(
    client: TestClient, house: House, method: str, path: str, given: str
) -> None:
    answer = client.request(method, path, content=b"{", headers={"Authorization": given})
    check_problem(answer, 401, "unauthenticated")
    assert "Bearer" == answer.headers["www-authenticate"]


def test_a_fault_of_ours_is_a_500_problem_that_says_nothing(
    client: TestClient, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError(SECRET)

    monkeypatch.setattr("app.api.decisions.reading.decision_list", broken)
    answer = client.get("/api/v1/decisions", headers=house.headers("auditor"))
    check_problem(answer, 500, "internal")
    assert SECRET not in answer.text


VERDICTS: tuple[tuple[Any, str], ...] = (
    ({}, "/token"), ({"token": "1", "action": "approve"}, "/token"), ({"token": 1.5, "action": "approve"}, "/token"),
    ({"token": -1, "action": "approve"}, "/token"), ({"token": True, "action": "approve"}, "/token"),
    ({"token": 1}, "/action"), ({"token": 1, "action": "agree"}, "/action"), ({"token": 1, "action": None}, "/action"),
    ({"token": 1, "action": "approve", "x": 1}, "/x"), ({"token": 1, "action": "override", "outcome": 1}, "/outcome"),
    ({"token": 1, "action": "decide", "rationale": "x" * 5_001}, "/rationale"), ([], ""), ("approve", ""), (7, ""),
    ({"token": 1, "action": "override", "reason_code": ""}, "/reason_code"),
)  # fmt: skip


def test_a_verdict_of_another_shape_is_refused_with_its_place(client: TestClient, house: House) -> None:
    for body, pointer in VERDICTS:
        answer = client.post("/api/v1/reviews/rev_x/verdict", json=body, headers=house.headers("reviewer"))
        check_problem(answer, 422, "invalid", pointer)


def test_a_broken_policy_or_type_is_told_fault_by_fault(client: TestClient, house: House, db: Database) -> None:
    policy = {
        "decision_type": "refund",
        "stakes": {"levels": ["low"]},
        "thresholds": {"low": {"autonomous": 2}},
        "x": 1,
    }
    answer = client.post(
        "/api/v1/decision-types/refund/policies", json={"document": policy}, headers=house.headers("owner")
    )
    assert 422 == answer.status_code
    assert {"/x", "/thresholds/low/autonomous"} <= {one["pointer"] for one in answer.json()["errors"]}, answer.text
    answer = client.put("/api/v1/decision-types/refund", json={"title": 1}, headers=house.headers("owner"))
    check_problem(answer, 422, "type_invalid", "/outcomes")
    for body in ({}, {"source": "a: 1", "document": {}}):
        answer = client.post("/api/v1/decision-types/refund/policies", json=body, headers=house.headers("owner"))
        check_problem(answer, 422, "policy_invalid", "/source")
    versions = client.get("/api/v1/decision-types/refund/policies", headers=house.headers("owner")).json()["data"]
    assert ["active"] == [one["state"] for one in versions]


@pytest.mark.parametrize("key", ["", " ", "a b ", "x" * 256, "é", "a\tb"])
def test_an_idempotency_key_that_is_none_is_a_400(client: TestClient, house: House, key: str) -> None:
    for path, who, body in (("/decisions", "service", submission()), ("/claims", "reviewer", {})):
        headers = [(k.encode(), v.encode("latin-1")) for k, v in house.headers(who).items()]
        headers += [(b"Idempotency-Key", key.encode("latin-1")), (b"Content-Type", b"application/json")]
        answer = client.post(f"/api/v1{path}", content=json.dumps(body), headers=headers)
        check_problem(answer, 400, "bad_idempotency_key")
