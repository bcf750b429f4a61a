"""What every call promises: idempotency, external ids, batches, waiting, pages, ETags, request ids, duties."""

import re
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.actions import audit, upkeep
from app.main import create_app
from app.store.db import Database
from app.verifier.verify import examined
from app.worker import run_once
from tests.api.test_bad_input import check_problem
from tests.conftest import settings_for
from tests.factories import POLICY, House, furnish, key, put_policy, signer, submission


def submit(client: TestClient, house: House, *, who: str = "service", **changes: Any) -> dict[str, Any]:
    answer = client.post("/api/v1/decisions", json=submission(**changes), headers=house.headers(who))
    assert answer.status_code in (200, 201), answer.text
    told: dict[str, Any] = answer.json()
    return told


def claim(client: TestClient, house: House, who: str = "reviewer") -> dict[str, Any]:
    answer = client.post("/api/v1/claims", json={}, headers=house.headers(who))
    assert 201 == answer.status_code, answer.headers
    told: dict[str, Any] = answer.json()
    return told


def rule(client: TestClient, house: House, review: dict[str, Any], who: str = "reviewer", **said: Any) -> Any:
    body = {"token": review["lease"]["token"], "action": "approve", **said}
    return client.post(f"/api/v1/reviews/{review['id']}/verdict", json=body, headers=house.headers(who))


def test_the_same_key_and_body_replay_the_answer_and_another_body_is_refused(client: TestClient, house: House) -> None:
    headers = house.headers("service", Idempotency_Key="k1")
    first = client.post("/api/v1/decisions", json=submission(), headers=headers)
    again = client.post("/api/v1/decisions", json=submission(), headers=headers)
    assert (201, 201) == (first.status_code, again.status_code)
    assert first.text == again.text
    assert [None, "true"] == [one.headers.get("idempotent-replayed") for one in (first, again)]
    other = client.post("/api/v1/decisions", json=submission(confidence=0.1), headers=headers)
    check_problem(other, 422, "idempotency_key_reused")
    rival = client.post("/api/v1/decisions", json=submission(), headers=house.headers("rival", Idempotency_Key="k1"))
    assert first.json()["id"] != rival.json()["id"]


def test_a_known_external_id_answers_200_and_another_body_is_a_conflict(client: TestClient, house: House) -> None:
    first = client.post("/api/v1/decisions", json=submission(external_id="x1"), headers=house.headers("service"))
    again = client.post("/api/v1/decisions", json=submission(external_id="x1"), headers=house.headers("service"))
    assert (201, 200) == (first.status_code, again.status_code)
    assert first.json()["id"] == again.json()["id"]
    other = submission(external_id="x1", confidence=0.2)
    answer = client.post("/api/v1/decisions", json=other, headers=house.headers("service"))
    check_problem(answer, 409, "external_id_taken")
    assert first.json()["id"] == answer.json()["decision_id"]


def test_an_external_id_is_known_in_a_batch_as_it_is_alone(client: TestClient, house: House) -> None:
    first = submit(client, house, external_id="x2")
    turned = dict(reversed(submission(external_id="x2").items()))
    answer = client.post("/api/v1/decisions/batch", json=[turned, turned], headers=house.headers("service"))
    known = answer.json()["results"]
    assert [(200, first)] * 2 == [(one["status"], one["decision"]) for one in known]


def test_twins_at_the_same_time_become_one_decision(client: TestClient, house: House) -> None:
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.append(submit(client, house, external_id="twin")["id"])) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (8, 1) == (len(ids), len(set(ids)))


def test_a_batch_answers_for_each_item_in_order(client: TestClient, house: House) -> None:
    items = [submission(external_id="b1"), submission(confidence=7), submission(decision_type="nope"), 7]
    for body in ({"items": items}, items):
        answer = client.post("/api/v1/decisions/batch", json=body, headers=house.headers("service"))
        assert 200 == answer.status_code
        results = answer.json()["results"]
        assert [422, 422, 422] == [one["status"] for one in results[1:]]
        assert ["invalid", "unknown_type", "invalid"] == [one["problem"]["code"] for one in results[1:]]
    assert (200, "b1") == (results[0]["status"], items[0]["external_id"])
    headers = house.headers("service", Idempotency_Key="batch-1")
    both = [client.post("/api/v1/decisions/batch", json=[submission()] * 3, headers=headers).json() for _ in range(2)]
    ids = [[one["decision"]["id"] for one in told["results"]] for told in both]
    assert (3, True) == (len(set(ids[0])), ids[0] == ids[1])


@pytest.mark.parametrize("body", [[], {"items": []}, {"items": 1}, {}, {"items": [], "x": 1}, 7, [{}] * 1_001])
def test_what_is_no_batch_is_refused_as_a_whole(client: TestClient, house: House, body: Any) -> None:
    check_problem(client.post("/api/v1/decisions/batch", json=body, headers=house.headers("service")), 422, "invalid")


def test_a_batch_of_somebody_we_do_not_know_is_refused_as_a_whole(client: TestClient, house: House) -> None:
    headers = {"Authorization": "Bearer hr_12345678_" + "a" * 43}
    answer = client.post("/api/v1/decisions/batch", json=[submission()], headers=headers)
    check_problem(answer, 401, "unauthenticated")
    answer = client.post("/api/v1/decisions/batch", json=[submission()], headers=house.headers("auditor"))
    check_problem(answer, 403, "forbidden")


@pytest.mark.parametrize("how", [{"params": {"wait": 20}}, {"headers": {"Prefer": "respond-async, wait=20"}}])
def test_waiting_returns_as_soon_as_the_verdict_is_there(client: TestClient, house: House, how: dict[str, Any]) -> None:
    told = submit(client, house)
    review = claim(client, house)
    later = threading.Timer(0.3, lambda: rule(client, house, review))
    later.start()
    headers = house.headers("service") | how.get("headers", {})
    answer = client.get(f"/api/v1/decisions/{told['id']}", headers=headers, params=how.get("params"))
    later.join()
    assert ("final", "approve") == (answer.json()["status"], answer.json()["outcome"])
    assert answer.elapsed.total_seconds() < 10
    assert ("wait=20" if "headers" in how else None) == answer.headers.get("preference-applied")


def test_an_unchanged_decision_is_a_304(client: TestClient, house: House) -> None:
    path = f"/api/v1/decisions/{submit(client, house)['id']}"
    first = client.get(path, headers=house.headers("service"))
    again = client.get(path, headers=house.headers("service", If_None_Match=f'"x", {first.headers["etag"]}'))
    assert (304, b"") == (again.status_code, again.content)
    client.post(f"{path}/cancellation", headers=house.headers("service"))
    changed = client.get(path, headers=house.headers("service", If_None_Match=first.headers["etag"]))
    assert (200, "cancelled") == (changed.status_code, changed.json()["status"])


def test_pages_hold_every_decision_once_newest_first(client: TestClient, house: House) -> None:
    made = [submit(client, house)["id"] for _ in range(7)]
    found: list[str] = []
    path = "/api/v1/decisions?type=refund&limit=3&status=pending"
    while path:
        answer = client.get(path, headers=house.headers("auditor"))
        found += [one["id"] for one in answer.json()["data"]]
        assert answer.json()["has_more"] == (answer.json()["next_cursor"] is not None) == ("next" in answer.links)
        path = answer.links["next"]["url"] if answer.links else ""
    assert made[::-1] == found


def test_the_audit_trail_is_paged_and_filtered(client: TestClient, house: House) -> None:
    told = submit(client, house)
    answer = client.get(f"/api/v1/events?object={told['id']}", headers=house.headers("auditor"))
    assert [told["event"]["id"]] == [one["id"] for one in answer.json()["data"]]
    page = client.get("/api/v1/events?type=key.created&limit=2", headers=house.headers("auditor"))
    assert (["key.created"] * 2, True) == ([one["type"] for one in page.json()["data"]], page.json()["has_more"])
    rest = client.get(page.links["next"]["url"], headers=house.headers("auditor")).json()["data"]
    assert not {one["id"] for one in rest} & {one["id"] for one in page.json()["data"]}


@pytest.mark.parametrize(("given", "kept"), [("abc-123", True), ("a b", False), ("x" * 101, False), ("<i>", False)])
def test_a_request_id_is_kept_when_it_is_plain(client: TestClient, given: str, kept: bool) -> None:
    answer = client.get("/livez", headers={"X-Request-ID": given})
    assert kept == (given == answer.headers["x-request-id"])


def test_the_request_id_is_in_the_event(client: TestClient, house: House) -> None:
    headers = house.headers("service", X_Request_ID="mine-1")
    told = client.post("/api/v1/decisions", json=submission(), headers=headers).json()
    events = client.get(f"/api/v1/decisions/{told['id']}/events", headers=house.headers("auditor")).json()["data"]
    assert ["mine-1"] == [one["request_id"] for one in events]


def test_an_empty_queue_says_why(client: TestClient, house: House) -> None:
    def why(who: str) -> tuple[int, str]:
        answer = client.post("/api/v1/claims", headers=house.headers(who))
        return answer.status_code, answer.headers["handrail-queue-status"]

    assert (204, "nothing waiting") == why("reviewer")
    submit(client, house)
    claim(client, house)
    assert (204, "1 held by others") == why("second")
    check_problem(
        client.post("/api/v1/claims", json={"queue": "x"}, headers=house.headers("reviewer")), 404, "not_found"
    )


def test_a_lease_is_renewed_released_and_its_old_token_is_lost(client: TestClient, house: House) -> None:
    submit(client, house)
    review = claim(client, house)
    path = f"/api/v1/reviews/{review['id']}"
    renewed = client.put(f"{path}/lease", json={"token": review["lease"]["token"]}, headers=house.headers("reviewer"))
    assert review["lease"]["token"] == renewed.json()["lease"]["token"]
    seen = client.get(path, headers=house.headers("reviewer")).json()
    assert (True, review["lease"]["token"]) == (seen["mine"], seen["lease"]["token"])
    assert "token" not in client.get(path, headers=house.headers("second")).json()["lease"]
    check_problem(client.post(f"{path}/claim", headers=house.headers("second")), 409, "held")
    token = review["lease"]["token"]
    assert 204 == client.delete(f"{path}/lease?token={token}", headers=house.headers("reviewer")).status_code
    check_problem(rule(client, house, review), 409, "lease_lost")
    assert 201 == client.post(f"{path}/claim", headers=house.headers("second")).status_code
    assert 204 == client.request("DELETE", f"{path}/lease", headers=house.headers("lead")).status_code


def test_a_blind_review_hides_the_proposal_until_the_judgement(client: TestClient, house: House) -> None:
    submit(client, house, confidence=0.1)
    review = claim(client, house)
    assert ("human_decides", True, None) == (review["tier"], review["blind"], review["decision"]["proposal"])
    assert "0.1" not in str(review["decision"]["reasons"])
    check_problem(rule(client, house, review), 422, "action_not_possible", "/action")
    judged = rule(client, house, review, action="decide", outcome="deny")
    assert (202, "approve") == (judged.status_code, judged.json()["proposal"]["outcome"])
    ruled = rule(client, house, review, action="decide", outcome="deny")
    assert (201, "deny") == (ruled.status_code, ruled.json()["decision"]["outcome"])


def test_an_override_needs_a_reason_and_a_settled_review_takes_no_more(client: TestClient, house: House) -> None:
    submit(client, house)
    review = claim(client, house)
    check_problem(
        rule(client, house, review, action="override", outcome="deny"), 422, "reason_required", "/reason_code"
    )
    assert 201 == rule(client, house, review).status_code
    check_problem(rule(client, house, review), 409, "already_settled")


def test_a_verdict_with_an_idempotency_key_is_given_once(client: TestClient, house: House) -> None:
    submit(client, house)
    review = claim(client, house)
    path, body = f"/api/v1/reviews/{review['id']}/verdict", {"token": review["lease"]["token"], "action": "approve"}
    headers = house.headers("reviewer", Idempotency_Key="v1")
    first, again = (client.post(path, json=body, headers=headers) for _ in range(2))
    assert (201, 201, first.text) == (first.status_code, again.status_code, again.text)
    assert "true" == again.headers["idempotent-replayed"]


def test_a_service_key_never_reviews(client: TestClient, house: House) -> None:
    submit(client, house)
    check_problem(client.post("/api/v1/claims", headers=house.headers("service")), 403, "forbidden")
    review = claim(client, house)
    check_problem(rule(client, house, review, who="service"), 403, "forbidden")


def test_the_owner_of_a_key_cannot_rule_on_what_it_submitted(client: TestClient, house: House, db: Database) -> None:
    mine = key(db, "my-bot", "decisions:write", person_id=house.people["reviewer"])
    told = client.post("/api/v1/decisions", json=submission(), headers={"Authorization": f"Bearer {mine}"}).json()
    path = f"/api/v1/reviews/{told['review']['id']}/claim"
    check_problem(client.post(path, headers=house.headers("reviewer")), 403, "separation_of_duties")
    assert 204 == client.post("/api/v1/claims", headers=house.headers("reviewer")).status_code
    assert 201 == client.post(path, headers=house.headers("second")).status_code


def test_a_service_sees_and_withdraws_its_own_decisions_alone(client: TestClient, house: House) -> None:
    path = f"/api/v1/decisions/{submit(client, house)['id']}"
    check_problem(client.get(path, headers=house.headers("rival")), 404, "not_found")
    check_problem(client.post(f"{path}/cancellation", headers=house.headers("rival")), 404, "not_found")
    assert "cancelled" == client.post(f"{path}/cancellation", headers=house.headers("service")).json()["status"]
    done = f"/api/v1/decisions/{submit(client, house, amount_cents=1, confidence=0.99)['id']}/cancellation"
    check_problem(client.post(done, headers=house.headers("service")), 409, "already_final")


def test_a_policy_is_drafted_proposed_activated_and_rolled_back(client: TestClient, house: House) -> None:
    base, who = "/api/v1/decision-types/refund", house.headers("owner")
    stricter = {
        **POLICY,
        "thresholds": {name: {"autonomous": "never", "review": 0.0} for name in ("low", "medium", "high")},
    }
    made = client.post(f"{base}/policies", json={"document": stricter, "note": "careful"}, headers=who)
    assert (201, "draft", 2) == (made.status_code, made.json()["state"], made.json()["version"]), made.text
    assert "proposed" == client.post(f"{base}/policies/2/proposal", headers=who).json()["state"]
    assert "active" == client.post(f"{base}/policies/2/activation", headers=who).json()["state"]
    assert "review_required" == submit(client, house, amount_cents=1, confidence=0.99)["tier"]
    assert "active" == client.post(f"{base}/policies/1/activation", headers=who).json()["state"]
    assert "autonomous" == submit(client, house, amount_cents=1, confidence=0.99)["tier"]
    assert 1 == client.get(base, headers=who).json()["active_version"]


def test_a_type_is_put_and_comes_back(client: TestClient, house: House) -> None:
    document = client.get("/api/v1/decision-types/refund", headers=house.headers("owner")).json()["document"]
    copy = {**document, "slug": "returns"}
    path, who = "/api/v1/decision-types/returns", house.headers("owner")
    assert [201, 200] == [client.put(path, json=copy, headers=who).status_code for _ in range(2)]
    assert ["refund", "returns"] == [
        one["slug"] for one in client.get("/api/v1/decision-types", headers=who).json()["data"]
    ]
    check_problem(client.put(path, json=document, headers=who), 422, "type_invalid", "/slug")


def test_csv_is_a_download_and_an_event(client: TestClient, house: House) -> None:
    submit(client, house, subject="=HYPERLINK(1)")
    answer = client.get("/api/v1/exports/decisions.csv?type=refund&to=2999-01-01", headers=house.headers("auditor"))
    assert ("text/csv; charset=utf-8", 3) == (answer.headers["content-type"], len(answer.text.split("\r\n")))
    assert ",=HYPERLINK" not in answer.text
    events = client.get("/api/v1/events?type=export.started", headers=house.headers("auditor")).json()["data"]
    assert 1 == len(events)
    check_problem(client.get("/api/v1/exports/decisions.csv", headers=house.headers("reviewer")), 403, "forbidden")


def test_a_bundle_is_a_download_that_verifies(client: TestClient, house: House, tmp_path: Path) -> None:
    submit(client, house)
    answer = client.get("/api/v1/exports/bundle?type=refund&to=2999-01-01", headers=house.headers("auditor"))
    assert (200, "application/zip") == (answer.status_code, answer.headers["content-type"])
    (tmp_path / "bundle.zip").write_bytes(answer.content)
    assert "Sound: 1 decisions" in examined(str(tmp_path / "bundle.zip"), [], None, None)[0]
    check_problem(client.get("/api/v1/exports/bundle", headers=house.headers("reviewer")), 403, "forbidden")
    ahead = client.get("/api/v1/exports/bundle?since=999999", headers=house.headers("auditor"))
    check_problem(ahead, 409, "checkpoint_ahead")


def test_metrics_count_decisions_verdicts_and_waiting_reviews(client: TestClient, house: House) -> None:
    submit(client, house)
    submit(client, house)
    rule(client, house, claim(client, house))
    told = client.get("/metrics").text
    for line in (
        'handrail_decisions_total{decision_type="refund",tier="review_required"} 2.0',
        'handrail_verdicts_total{action="approve"} 1.0',
        'handrail_reviews_waiting{queue="refunds"} 1.0',
        "handrail_submit_seconds_count 2.0",
        "handrail_claim_seconds_count 1.0",
    ):
        assert line in told


def test_ready_says_what_is_missing(client: TestClient, db: Database) -> None:
    assert 200 == client.get("/livez").status_code
    answer = client.get("/readyz")
    assert (503, True, False) == (answer.status_code, answer.json()["database"], answer.json()["worker"])
    assert any("worker" in sentence for sentence in answer.json()["problems"])


def test_ready_warns_of_what_is_not_sealed_or_signed_and_is_ready_all_the_same(
    client: TestClient, house: House, db: Database
) -> None:
    run_once(db)
    db.offset = timedelta(seconds=50)
    told = client.get("/readyz")
    assert 200 == told.status_code
    assert ["Checkpoints are not signed"] == [one.partition(":")[0] for one in told.json()["warnings"]]
    key(db, "late", "decisions:read")
    db.offset += timedelta(seconds=61)
    upkeep.beat(db, "worker", {}, {})
    told = client.get("/readyz")
    assert 200 == told.status_code
    assert any(one.startswith("Nobody seals: 1 events wait, the oldest for 6") for one in told.json()["warnings"])
    assert (0, 1) == (told.json()["log"]["signed"], told.json()["log"]["waiting"])
    text = client.get("/metrics").text
    assert "handrail_unsealed 1.0" in text
    assert re.search(r"^handrail_unsealed_oldest_seconds 6\d\.", text, re.M)
    assert re.search(r"^handrail_log_sealed_timestamp_seconds 1\.\d+e\+09", text, re.M)
    client.app.state.signer = signer()  # type: ignore[attr-defined]
    assert any(one.startswith("Nobody signs: ") for one in client.get("/readyz").json()["warnings"])
    audit.seal(db, signer())
    assert [] == client.get("/readyz").json()["warnings"]


def test_a_database_that_is_away_is_a_503_with_retry_after_and_the_process_lives() -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/none")
    headers = {"Authorization": "Bearer hr_12345678_" + "a" * 43}
    with TestClient(create_app(settings_for("postgresql://x"), database=away), raise_server_exceptions=False) as client:
        for answer in (
            client.post("/api/v1/decisions", json=submission(), headers=headers),
            client.post("/api/v1/decisions/batch", json=[submission()], headers=headers),
            client.get("/api/v1/decisions", headers=headers),
        ):
            check_problem(answer, 503, "unavailable")
            assert "2" == answer.headers["retry-after"]
        assert (200, 503) == (client.get("/livez").status_code, client.get("/readyz").status_code)
        assert "handrail_submit_seconds_count" in client.get("/metrics").text
    away.close()


def test_activation_by_another_process_counts_at_once(client: TestClient, house: House, db: Database) -> None:
    assert 1 == submit(client, house)["policy"]["version"]
    put_policy(db, {**POLICY, "sample": {"rate": 0.5}})
    assert 2 == submit(client, house)["policy"]["version"]


def test_after_the_database_was_away_the_same_process_serves_again(
    fresh_postgres_url: str, postgres_url: str, in_postgres: Callable[..., None]
) -> None:
    db = Database(fresh_postgres_url, pool_size=3)
    house, name = furnish(db), db.url.database
    with TestClient(create_app(settings_for(fresh_postgres_url), database=db), raise_server_exceptions=False) as client:
        first = submit(client, house)
        away = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        in_postgres(postgres_url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false", away)
        refused = client.post("/api/v1/decisions", json=submission(), headers=house.headers("service"))
        check_problem(refused, 503, "unavailable")
        assert "retry-after" in refused.headers
        in_postgres(postgres_url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert first["id"] != submit(client, house)["id"]
        assert 200 == client.get(f"/api/v1/decisions/{first['id']}", headers=house.headers("auditor")).status_code
    db.close()
