"""The main job over the API: submit, claim, verdict, timeline, export; on both databases."""

import json

from fastapi.testclient import TestClient

from tests.factories import House, submission


def test_a_person_overrides_what_the_service_proposed(client: TestClient, house: House) -> None:
    made = client.post("/api/v1/decisions", json=submission(), headers=house.headers("service"))
    assert 201 == made.status_code, made.text
    told = made.json()
    assert ("pending", "review_required", "medium", None) == tuple(
        told[name] for name in ("status", "tier", "stakes", "outcome")
    )
    assert f"/api/v1/decisions/{told['id']}" == made.headers["location"]
    assert told["event"]["id"].startswith("evt_")

    claimed = client.post("/api/v1/claims", json={"queue": "refunds"}, headers=house.headers("reviewer"))
    assert 201 == claimed.status_code, claimed.text
    review = claimed.json()
    assert told["review"]["id"] == review["id"]
    assert "approve" == review["decision"]["proposal"]["outcome"]

    said = {"token": review["lease"]["token"], "action": "override", "outcome": "deny", "reason_code": "fraud"}
    ruled = client.post(f"/api/v1/reviews/{review['id']}/verdict", json=said, headers=house.headers("reviewer"))
    assert 201 == ruled.status_code, ruled.text
    assert ("final", "deny") == (ruled.json()["decision"]["status"], ruled.json()["decision"]["outcome"])

    seen = client.get(f"/api/v1/decisions/{told['id']}", headers=house.headers("service"))
    assert ("final", "deny", "reviewer") == tuple(seen.json()[name] for name in ("status", "outcome", "decided_by"))
    assert "override" == seen.json()["reviews"][0]["verdicts"][0]["action"]

    happened = client.get(f"/api/v1/decisions/{told['id']}/events", headers=house.headers("auditor")).json()["data"]
    assert [
        "decision.submitted", "review.claimed", "review.verdict_given", "review.settled", "decision.finalised",
    ] == [one["type"] for one in happened]  # fmt: skip

    lines = client.get("/api/v1/exports/decisions.jsonl", headers=house.headers("auditor")).text.splitlines()
    assert [told["id"]] == [json.loads(line)["id"] for line in lines]
