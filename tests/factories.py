"""Owns the people, keys, types and policies that tests start from."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.actions import people, policies, types
from app.domain.access import SYSTEM, Grant
from app.domain.notes import COSIGNATURE, ED25519, Key, Signer, SigningKey
from app.store.db import Database

REFUND: Mapping[str, Any] = {
    "slug": "refund",
    "title": "Refunds",
    "owner": "Payments",
    "outcomes": [{"key": "approve", "title": "Pay back"}, {"key": "deny", "title": "Do not pay back"}],
    "reason_codes": [{"key": "fraud", "title": "Looks like fraud"}, {"key": "policy", "title": "Against the terms"}],
    "input_schema": {
        "type": "object",
        "properties": {
            "amount_cents": {"type": "integer", "minimum": 0},
            "customer": {"type": "object", "properties": {"vip": {"type": "boolean"}}},
        },
        "required": ["amount_cents"],
    },
    "guidance": "Look at the amount first.",
    "queue": "refunds",
    "rationale": "never",
}
POLICY: Mapping[str, Any] = {
    "decision_type": "refund",
    "stakes": {
        "levels": ["low", "medium", "high"],
        "rules": [
            {"when": "input.amount_cents < 5000", "level": "low"},
            {"when": "input.amount_cents < 100000", "level": "medium"},
        ],
    },
    "thresholds": {
        "low": {"autonomous": 0.90, "review": 0.0},
        "medium": {"autonomous": 0.97, "review": 0.60},
        "high": {"autonomous": "never", "review": 0.80},
    },
    "review": {
        "queue": "refunds",
        "sla": "4h",
        "reviewers": 1,
        "ai_visibility": {"review_required": "always", "human_decides": "after_judgement", "sample": "after_judgement"},
    },
}
PEOPLE = ("reviewer", "second", "lead", "owner", "auditor", "admin")
ROLES = {"second": "reviewer", "owner": "policy_owner"}


@dataclass(frozen=True, slots=True)
class House:
    """What `furnish` made: people's ids by name, and API keys by name (`service`, `rival`, and one per person)."""

    db: Database
    people: Mapping[str, str]
    keys: Mapping[str, str]

    def headers(self, who: str, **more: str) -> dict[str, str]:
        """The headers of a call by whoever holds the key."""
        return {"Authorization": f"Bearer {self.keys[who]}", **{k.replace("_", "-"): v for k, v in more.items()}}


SCOPES = {
    "reviewer": ["reviews:write", "decisions:read"],
    "second": ["reviews:write", "decisions:read"],
    "lead": ["reviews:write", "decisions:read"],
    "owner": ["admin", "decisions:read"],
    "auditor": ["audit:read"],
    "admin": ["admin", "audit:read"],
}


def furnish(db: Database, *, activate: bool = True) -> House:
    """A refund type with a policy, one person for each role, and a key for each of them and for two services."""
    types.apply(db, SYSTEM, dict(REFUND))
    if activate:
        put_policy(db, POLICY)
    ids = {name: person(db, name, ROLES.get(name, name)) for name in PEOPLE}
    keys = {name: key(db, f"{name}-key", *SCOPES[name], person_id=ids[name]) for name in PEOPLE}
    keys |= {name: key(db, name, "decisions:write") for name in ("service", "rival")}
    return House(db, ids, keys)


def person(db: Database, name: str, role: str, decision_type: str = "*") -> str:
    """A person with one role; returns their id."""
    made = people.add(db, SYSTEM, f"{name}@example.org", name.title(), None, [Grant(role, decision_type)])
    return str(made["id"])


def key(db: Database, name: str, *scopes: str, person_id: str | None = None) -> str:
    """A key; returns what its holder presents."""
    return str(people.create_key(db, SYSTEM, name, list(scopes), person_id=person_id)["key"])


def put_policy(db: Database, document: Mapping[str, Any]) -> int:
    """A policy, active at once; returns its version."""
    made = policies.draft(db, SYSTEM, document["decision_type"], deepcopy(dict(document)))
    policies.activate(db, SYSTEM, document["decision_type"], made["version"])
    return int(made["version"])


def submission(**changes: Any) -> dict[str, Any]:
    """A refund of medium stakes that a person must review; `confidence` and `amount_cents` go where they belong."""
    body: dict[str, Any] = {
        "decision_type": "refund",
        "model": {"name": "refund-risk", "version": "1"},
        "proposal": {"outcome": "approve", "confidence": changes.pop("confidence", 0.83)},
        "input": {"amount_cents": changes.pop("amount_cents", 12_900)},
    }
    return body | changes


def signer(*seeds: int, origin: str = "handrail.example/audit") -> Signer:
    """A signer with a key for each seed, one unless told otherwise."""
    return Signer(origin, tuple(_signing(origin, bytes([seed] * 32)) for seed in seeds or (1,)))


def _signing(name: str, seed: bytes, algorithm: int = ED25519) -> SigningKey:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return SigningKey(Key(name, algorithm, private.public_key().public_bytes_raw()), private.sign)


def witness(name: str = "witness.example") -> SigningKey:
    return _signing(name, bytes([9] * 32), COSIGNATURE)
