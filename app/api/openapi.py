"""Owns the OpenAPI 3.1 document: what FastAPI finds of our routes, the bodies it cannot see, the submit door."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app import __version__
from app.api import audit_schemas, erasure_schemas, schemas

REF: Final = "#/components/schemas/{model}"
BODIES: Final[Sequence[type[BaseModel]]] = (
    schemas.NewDecision, schemas.NewBatch, schemas.NewClaim, schemas.Lease, schemas.FreedLease, schemas.NewVerdict,
    schemas.NewPolicy, schemas.NewType, schemas.Empty, schemas.Submitted, schemas.BatchResults, schemas.ProblemShape,
    audit_schemas.NewCosignatures, erasure_schemas.NewErasure, erasure_schemas.NewHold,
)  # fmt: skip
ABOUT: Final = """The door for programs. Every error is `application/problem+json` (RFC 9457) with a stable `code`.

Send `Authorization: Bearer hr_...`; times are RFC 3339 in UTC; lists go on with `next_cursor`."""
PROBLEM: Final[dict[str, Any]] = {
    "description": "A refusal, as application/problem+json (RFC 9457).",
    "content": {"application/problem+json": {"schema": {"$ref": REF.format(model="ProblemShape")}}},
}
KEY_HEADER: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body give the first answer again; the same key with another body is refused.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "example": "b1946ac9-2f5c",
}
UNCHANGED: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "As the ETag in If-None-Match has it."}}
MATCH_AND_WAIT: Final[dict[str, Any]] = {
    "parameters": [
        {"name": name, "in": "header", "required": False, "description": about, "schema": {"type": "string"}}
        for name, about in (
            ("If-None-Match", "The ETag of an earlier answer: unchanged since then is a 304."),
            ("Prefer", "`wait=30`: what `?wait=30` does (RFC 7240)."),
        )
    ]
}


def answers(
    shape: type[BaseModel] | None, *, status: int = 200, nothing: str | None = None,
    judged: type[BaseModel] | None = None,
) -> dict[int | str, dict[str, Any]]:  # fmt: skip
    """The `responses` of a route: its answer, a problem for all else."""
    said: dict[int | str, dict[str, Any]] = {status: {"description": "Done."}}
    if shape is not None:
        said[status]["model"] = shape
    if judged is not None:
        said[202] = {"model": judged, "description": "A judgement is kept; the proposal is shown."}
    if nothing is not None:
        said[204] = {"description": nothing}
    return said | {"default": PROBLEM}


def takes(model: type[BaseModel], *, required: bool = True, idempotent: bool = True) -> dict[str, Any]:
    """The `openapi_extra` of a route whose body we read ourselves."""
    extra: dict[str, Any] = {"requestBody": _body(model, required)}
    return extra | {"parameters": [KEY_HEADER]} if idempotent else extra


def document(app: FastAPI, routes: Sequence[Any]) -> dict[str, Any]:
    """The document, made once per app."""
    made = get_openapi(
        title="Handrail", version=__version__, openapi_version="3.1.0", description=ABOUT, routes=list(routes)
    )
    schemas_made = made.setdefault("components", {}).setdefault("schemas", {})
    _, shapes = models_json_schema([(model, "validation") for model in BODIES], ref_template=REF)
    for name, shape in shapes["$defs"].items():
        schemas_made.setdefault(name, shape)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas_made.pop(unused, None)
    for path, item in _submit_paths().items():
        made["paths"].setdefault(path, {}).update(item)
    _finish(made)
    return made


def _body(model: type[BaseModel], required: bool) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": REF.format(model=model.__name__)}}
    if model in EXAMPLES:
        content["example"] = EXAMPLES[model]
    return {"required": required, "content": {"application/json": content}}


def _finish(made: dict[str, Any]) -> None:
    made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "hr_..."}}
    made["security"] = [{"key": []}]
    made["servers"] = [{"url": "/"}]
    for item in made["paths"].values():
        for operation in item.values():
            operation["responses"].pop("422", None)  # `default` says it, in our shape


def _submit_paths() -> dict[str, Any]:
    one = _operation("submit_decision", "Submit a decision: may I act, or must I wait?", schemas.NewDecision)
    one["responses"] = {
        "201": _told("Taken in.", schemas.Submitted, SUBMITTED),
        "200": _told("Known by its external_id: how it stands now.", schemas.Submitted, SUBMITTED),
        "default": PROBLEM,
    }
    many = _operation("submit_batch", "Submit up to 1,000 decisions; each is taken in by itself.", schemas.NewBatch)
    result = {"results": [{"status": 201, "decision": SUBMITTED}]}
    many["responses"] = {
        "200": _told("One result or problem for each, in order.", schemas.BatchResults, result),
        "default": PROBLEM,
    }
    return {"/api/v1/decisions": {"post": one}, "/api/v1/decisions/batch": {"post": many}}


def _operation(name: str, summary: str, model: type[BaseModel]) -> dict[str, Any]:
    return {
        "tags": ["decisions"],
        "summary": summary,
        "operationId": name,
        "parameters": [KEY_HEADER],
        "requestBody": _body(model, True),
    }


def _told(description: str, model: type[BaseModel], example: Any) -> dict[str, Any]:
    content = {"schema": {"$ref": REF.format(model=model.__name__)}, "example": example}
    return {"description": description, "content": {"application/json": content}}


SUBMITTED: Final = {
    "id": schemas.DECISION,
    "status": "pending",
    "tier": "review_required",
    "stakes": "medium",
    "outcome": None,
    "reasons": [
        {
            "code": "below_autonomous",
            "text": "confidence 0.83 is below 0.97, which medium stakes need to go through alone",
        }
    ],
    "policy": {"version": 3, "digest": "sha256:" + "0" * 64},
    "sampled": False,
    "review": {"id": schemas.REVIEW, "queue": "refunds", "due_at": "2026-11-24T13:08:00.000000Z"},
    "event": {"id": "evt_0193d5a0-7c20-7111-8f0e-51c3c9f9a0d2"},
}
_NEW: Final = {
    "decision_type": "refund",
    "external_id": "ticket-4711",
    "model": {"name": "refund-risk", "version": "2026-10-01"},
    "proposal": {"outcome": "approve", "confidence": 0.83},
    "input": {"amount_cents": 12900, "customer": {"vip": False}},
}
_TYPE: Final = {
    "slug": "refund",
    "title": "Refunds",
    "outcomes": [{"key": "approve", "title": "Pay back"}, {"key": "deny", "title": "Do not pay back"}],
    "queue": "refunds",
}
EXAMPLES: Final[dict[type[BaseModel], Any]] = {
    audit_schemas.NewCosignatures: {"size": 70000, "lines": [audit_schemas.LINE]},
    erasure_schemas.NewErasure: {"subject": "customer-5512", "cause": "consent_withdrawn"},
    erasure_schemas.NewHold: {"cause": "litigation"},
    schemas.NewDecision: _NEW,
    schemas.NewBatch: {"items": [_NEW]},
    schemas.NewClaim: {"queue": "refunds"},
    schemas.Lease: {"token": 1},
    schemas.FreedLease: {"token": 1},
    schemas.NewVerdict: {"token": 1, "action": "override", "outcome": "deny", "reason_code": "fraud"},
    schemas.NewType: _TYPE,
    schemas.NewPolicy: {
        "document": {
            "decision_type": "refund",
            "stakes": {"levels": ["low"]},
            "thresholds": {"low": {"autonomous": 0.9, "review": 0.0}},
        },
        "note": "first limits",
    },
    schemas.Empty: {},
}
