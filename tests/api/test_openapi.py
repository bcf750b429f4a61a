"""The OpenAPI document is valid, whole and true: names, examples, and answers that have the shapes it promises."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
from fastapi.testclient import TestClient

from app.actions import audit
from tests.api.test_calls import claim, rule, submit
from tests.factories import House, signer

METHODS = ("get", "post", "put", "delete")


def document(client: TestClient) -> dict[str, Any]:
    told: dict[str, Any] = client.get("/api/v1/openapi.json").json()
    return told


def operations(made: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, item[method]) for path, item in made["paths"].items() for method in METHODS if method in item
    ]


def test_every_call_has_a_snake_case_name_a_summary_and_a_problem(client: TestClient) -> None:
    made = document(client)
    assert "3.1.0" == made["openapi"]
    names = [one["operationId"] for _, _, one in operations(made)]
    assert len(names) == len(set(names))
    assert {"submit_decision", "submit_batch", "claim_next_review", "give_verdict", "get_decision"} <= set(names)
    for path, method, one in operations(made):
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", one["operationId"])
        assert one["summary"], (path, method)
        assert {"default"} <= set(one["responses"])


def test_every_reference_leads_somewhere_and_every_schema_is_one(client: TestClient) -> None:
    made = document(client)
    schemas = made["components"]["schemas"]
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(made)))
    assert set() == named - set(schemas)
    for schema in schemas.values():
        assert jsonschema_rs.meta.is_valid({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_the_examples_have_the_shapes_they_stand_for(client: TestClient) -> None:
    made = document(client)
    checked = 0
    for _, _, one in operations(made):
        bodies = [one.get("requestBody", {}), *one["responses"].values()]
        for content in (body.get("content", {}).get("application/json", {}) for body in bodies):
            if "example" in content:
                assert [] == faults(made, content["schema"], content["example"])
                checked += 1
        if "requestBody" in one:
            assert "example" in one["requestBody"]["content"]["application/json"], one["operationId"]
    assert checked > 10


def test_answers_have_the_shapes_that_the_document_promises(client: TestClient, house: House) -> None:
    made = document(client)
    told = submit(client, house)
    review = claim(client, house)
    ruled = rule(client, house, review).json()
    audit.seal(house.db, signer())
    auditor, reviewer, owner = (house.headers(who) for who in ("auditor", "reviewer", "owner"))
    for name, answer in {
        "Submitted": told,
        "Claimed": review,
        "Ruled": ruled,
        "Decision": client.get(f"/api/v1/decisions/{told['id']}", headers=auditor).json(),
        "ReviewView": client.get(f"/api/v1/reviews/{review['id']}", headers=reviewer).json(),
        "DecisionPage": client.get("/api/v1/decisions", headers=auditor).json(),
        "EventPage": client.get("/api/v1/events", headers=auditor).json(),
        "CheckpointView": client.get("/api/v1/audit/checkpoint", headers=auditor).json(),
        "ProofView": client.get(f"/api/v1/audit/events/{told['event']['id']}/proof", headers=auditor).json(),
        "ConsistencyView": client.get("/api/v1/audit/consistency?from=1", headers=auditor).json(),
        "Types": client.get("/api/v1/decision-types", headers=owner).json(),
        "Policies": client.get("/api/v1/decision-types/refund/policies", headers=owner).json(),
        "ProblemShape": client.get("/api/v1/decisions/x", headers=auditor).json(),
    }.items():
        assert [] == faults(made, {"$ref": f"#/components/schemas/{name}"}, answer), name


def test_every_call_is_in_the_reference(client: TestClient) -> None:
    text = Path("docs/api.md").read_text()
    for path, method, one in operations(document(client)):
        assert f"`{method.upper()} {path}`" in text, one["operationId"]


def test_every_code_that_the_program_can_say_is_in_the_reference() -> None:
    text = Path("docs/api.md").read_text()
    raised = re.compile(r'(?:HandrailError|Malformed|Invalid|Unauthenticated|Forbidden|NotFound|Conflict|Throttled|'
                        r'Unavailable|_refusal|_missing|_refuse)\(\s*[^()]*?"([a-z]+(?:_[a-z]+)+)"', re.S)  # fmt: skip
    sources = [path.read_text() for folder in ("domain", "store", "actions", "api") for path in
               sorted(Path("app", folder).glob("*.py"))]  # fmt: skip
    codes = {code for source in sources for code in raised.findall(source)} - {"retry_after"}  # a name in `extra`
    assert len(codes) > 20
    assert set() == {code for code in codes if f"`{code}`" not in text}


def faults(made: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": made["components"], **schema}
    checker = jsonschema_rs.validator_for(whole, offline=True)
    return [f"{error.instance_path}: {error.message}" for error in checker.iter_errors(value)]
