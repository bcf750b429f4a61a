"""The OpenAPI document against the server: what it allows, and what it does not, gets an answer that it promises."""

import json
from copy import deepcopy
from typing import Any, Final

import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckContext, load_all_checks, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)

from app.actions import audit, erasure
from app.domain.access import Actor, Grant
from tests.api.test_calls import claim, rule, submit
from tests.api.test_openapi import document
from tests.factories import House, key, signer

BUDGET: Final = 15  # requests of each call, on each database
SERVICE: Final = {"submit_decision", "submit_batch", "cancel_decision"}
CHECKS: Final = [
    not_a_server_error, content_type_conformance, response_headers_conformance, response_schema_conformance,
]  # fmt: skip


def status_is_promised(ctx: CheckContext, response: Any, case: Case) -> None:
    """`default` stands for every refusal, never for an answer that was left out of the document."""
    promised = case.operation.definition.raw["responses"]
    assert response.status_code >= 400 or str(response.status_code) in promised, (case, response.status_code)


def test_every_call_answers_as_the_document_says(client: TestClient, house: House) -> None:
    load_all_checks()
    office = key(house.db, "office", "admin", "audit:read", "decisions:read")
    tokens = {
        "reviews": house.keys["lead"],
        "erasure": house.keys["admin"],
        **dict.fromkeys(SERVICE, house.keys["service"]),
    }
    made = schemathesis.openapi.from_dict(narrowed(document(client), known_things(client, house)))
    called = set()
    for operation in (found.ok() for found in made.get_all_operations()):
        raw = operation.definition.raw
        token = tokens.get(raw["operationId"]) or tokens.get(raw["tags"][0], office)
        ask(client, operation, {"Authorization": f"Bearer {token}"})
        called.add(raw["operationId"])
    assert called == {one["operationId"] for item in made.raw_schema["paths"].values() for one in item.values()}


def ask(client: TestClient, operation: Any, headers: dict[str, str]) -> None:
    """Make requests that the document allows and requests that it does not; every answer must be a promised one."""

    @settings(
        max_examples=BUDGET, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=st.sampled_from(GenerationMode).flatmap(operation.as_strategy))
    def answered(case: Case) -> None:
        sent = case.as_transport_kwargs(base_url="http://testserver", headers=headers)
        sent["headers"] = {k: v.encode("latin-1") for k, v in sent["headers"].items()}
        sent["params"] = {k: v for k, v in (sent.get("params") or {}).items() if k != "wait"}  # nobody waits here
        asked = {"content" if name == "data" else name: value for name, value in sent.items() if name != "cookies"}
        case.validate_response(client.request(**asked), checks=[*CHECKS, status_is_promised])

    answered()


def known_things(client: TestClient, house: House) -> dict[str, list[Any]]:
    """What path parameters may name, so that not every call ends at a 404."""
    settled = submit(client, house)
    rule(client, house, claim(client, house))
    submit(client, house)
    audit.seal(house.db, signer())
    review = claim(client, house, "lead")
    waiting = submit(client, house)
    return {
        "decision_id": [settled["id"], waiting["id"], "dec_none"],
        "review_id": [review["id"], settled["review"]["id"], "rev_none"],
        "erasure_id": [asked_to_erase(client, house), "ers_none"],
        "event_id": [settled["event"]["id"], "evt_none"],
        "slug": ["refund", "voucher"],
        "version": [1, 2],
        "token": [review["lease"]["token"], 0],
    }


def asked_to_erase(client: TestClient, house: House) -> str:
    """A request by somebody else, which may be approved."""
    submit(client, house, subject="customer-5512", confidence=0.99)
    lead = house.people["lead"]
    other = Actor("person", lead, "Lead", person_id=lead, grants=(Grant("admin"),))
    return str(erasure.request(house.db, other, "customer-5512", "objection")["id"])


def narrowed(made: dict[str, Any], known: dict[str, list[Any]]) -> dict[str, Any]:
    """The document, with names of things that exist in the places where any text would do."""
    made = deepcopy(made)
    for item in made["paths"].values():
        for parameter in (one for operation in item.values() for one in operation.get("parameters", [])):
            if parameter["in"] == "path":
                parameter["schema"] = {"enum": known[parameter["name"]]}
    shapes = made["components"]["schemas"]
    shapes["NewDecision"]["properties"]["decision_type"] = {"enum": ["refund", "voucher"]}
    shapes["NewDecision"]["properties"]["input"] = {
        "type": "object",
        "properties": {"amount_cents": {"type": "integer", "minimum": 0, "maximum": 2**40}},
        "required": ["amount_cents"],
    }
    for shape in ("NewVerdict", "Lease"):
        shapes[shape]["properties"]["token"] = {"enum": known["token"]}
    shapes["Proposal"]["properties"]["outcome"] = {"enum": ["approve", "deny"]}
    return json.loads(json.dumps(made))  # type: ignore[no-any-return]
