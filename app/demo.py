"""Owns the demonstration: sample types, a person for each role, and an AI service that talks to the public API."""

import random
import secrets
import threading
from typing import Any

import httpx

from app.actions import people, policies, types
from app.actions.sessions import hash_password
from app.domain.access import SYSTEM, Grant
from app.paths import PACKAGE
from app.store.db import Database

SAMPLES = ("refund", "content-moderation", "account-closure")
PEOPLE = (
    ("Rea Viewer", "reviewer"), ("Lee Adder", "lead"), ("Pol Owens", "policy_owner"), ("Audra Torres", "auditor"),
    ("Ada Minn", "admin"),
)  # fmt: skip
PACE = 1.5  # seconds between decisions


def prepare(db: Database) -> tuple[list[tuple[str, str, str]], str]:
    """Types, policies, people and the service's key. Returns ([(role, e-mail, password)], key)."""
    for slug in SAMPLES:
        types.apply(db, SYSTEM, (PACKAGE / "samples" / f"{slug}.yaml").read_text(encoding="utf-8"))
        source = (PACKAGE / "samples" / f"{slug}.policy.yaml").read_text(encoding="utf-8")
        version = policies.draft(db, SYSTEM, slug, source, "The demonstration's first policy")["version"]
        policies.activate(db, SYSTEM, slug, version)
    signs = [_add(db, name, role) for name, role in PEOPLE]
    key = people.create_key(db, SYSTEM, "demo-agent", ["decisions:write", "decisions:read"])["key"]
    return signs, key


def _add(db: Database, name: str, role: str) -> tuple[str, str, str]:
    email, password = f"{role.replace('_', '-')}@demo.example", secrets.token_urlsafe(12)
    people.add(db, SYSTEM, email, name, hash_password(password), [Grant(role)])
    return role, email, password


class Simulation(threading.Thread):
    """Submits a decision every 1.5 seconds, twelve at once at first so that the queue is not empty."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__(name="demo", daemon=True)
        self._url, self._key = url, key
        self._random = random.Random(7)  # noqa: S311
        self._stop_asked = threading.Event()

    def stop(self) -> None:
        self._stop_asked.set()

    def run(self) -> None:
        with httpx.Client(base_url=self._url, headers={"Authorization": f"Bearer {self._key}"}, timeout=10) as client:
            sent = 0
            while not self._stop_asked.wait(0.3 if sent < 12 else PACE):
                try:
                    client.post("/api/v1/decisions", json=self._decision())
                    sent += 1
                except httpx.HTTPError:
                    continue

    def _decision(self) -> dict[str, Any]:
        make = self._random.choices((self._refund, self._post, self._closure), (6, 4, 1))[0]
        return make()

    def _refund(self) -> dict[str, Any]:
        pick = self._random.choice
        name = pick(("Ada Okafor", "Ben Lindqvist", "Chiara Russo", "Dev Patel", "Elif Demir", "Femi Adeyemi"))
        amount = int(self._random.choice((1900, 2450, 8900, 24900, 64900, 189000)) * self._random.uniform(0.8, 1.2))
        said = pick(("The parcel never arrived.", "Wrong size.", "It broke on the second day.", "I was charged twice."))
        often = self._random.randrange(6)
        customer = {"name": name, "vip": self._random.random() < 0.1, "refunds_90d": often}
        value = {"amount_cents": amount, "currency": "EUR", "reason": said, "customer": customer}
        explanation = "The order and the claim match." if often < 4 else "Many refunds lately."
        outcome = "approve" if often < 4 else "deny"
        return self._body("refund", "refund-agent", outcome, value, explanation, name)

    def _post(self) -> dict[str, Any]:
        text = self._random.choice((
            "Best concert of my life!", "You people should all go back where you came from.", "Buy followers, cheap!!",
            "As my grandmother used to say: never trust a man in a new hat.", "This referee is a disgrace.",
        ))  # fmt: skip
        value = {
            "text": text,
            "reports": self._random.randrange(8),
            "followers": self._random.choice((80, 900, 12_000, 400_000)),
        }
        outcome = self._random.choice(("keep", "keep", "keep", "limit", "remove"))
        return self._body("content-moderation", "tox-classifier", outcome, value, None, None)

    def _closure(self) -> dict[str, Any]:
        name = self._random.choice(("G. Haas", "I. Moreau", "K. Novak", "S. Yilmaz"))
        signal = self._random.choice(("Twelve transfers to new payees in an hour", "The passport photo does not match"))
        value = {"customer": name, "signal": signal, "account_age_days": self._random.randrange(20, 2000)}
        return self._body(
            "account-closure", "risk-model", self._random.choice(("restrict", "close")), value, None, name
        )

    def _body(
        self, kind: str, model: str, outcome: str, value: dict[str, Any], explanation: str | None, subject: str | None
    ) -> dict[str, Any]:
        confidence = round(min(0.999, self._random.betavariate(9, 1.2)), 3)
        proposal = {"outcome": outcome, "confidence": confidence, "explanation": explanation}
        body: dict[str, Any] = {
            "decision_type": kind,
            "external_id": f"demo-{self._random.getrandbits(48):x}",
            "model": {"name": model, "version": "2026-11"},
            "proposal": {name: one for name, one in proposal.items() if one is not None},
            "input": value,
        }
        return body | ({"subject": subject} if subject else {})
