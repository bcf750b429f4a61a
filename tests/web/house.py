"""A small house with people, types and decisions, and a browser without scripts to walk through it."""

import hashlib
import json
import re
import secrets
from functools import lru_cache
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.actions import people, policies, sessions, types
from app.actions.decisions import Submission, Submitted, submit_many
from app.domain.access import SYSTEM, Grant
from app.domain.keys import secret_digest
from app.main import create_app
from app.settings import Settings
from app.store import people as store
from app.store.db import Database

PASSWORD = "correct horse battery"
ROLES = ("admin", "reviewer", "lead", "policy_owner", "auditor")
SCRIPT = "<script>alert(1)</script>"
REFUND: dict[str, Any] = {
    "slug": "refund",
    "title": "Refund",
    "owner": "Payments team",
    "queue": "refunds",
    "outcomes": [{"key": "approve", "title": "Approve it"}, {"key": "deny", "title": "Deny it"}],
    "reason_codes": [{"key": "fraud", "title": "Looks like fraud"}],
    "guidance": "Ask the **supplier** first.",
    "input_schema": {
        "type": "object",
        "properties": {"amount_cents": {"type": "integer", "title": "Amount"}, "currency": {"type": "string"}},
    },
}
POLICY = """decision_type: refund
stakes:
  levels: [low, high]
  rules:
    - {when: "input.amount_cents < 5000", level: low}
thresholds:
  low: {autonomous: 0.9, review: 0.5}
  high: {autonomous: never, review: 0.8}
sample: {rate: 0}
"""


@lru_cache(maxsize=1)
def _hash() -> str:
    return sessions.hash_password(PASSWORD)


class House:
    """The application over a database, with one person per role (`reviewer@example.org`) and an active policy."""

    def __init__(self, db: Database, **settings: Any) -> None:
        self.db = db
        self.ids = {role: self._person(role) for role in ROLES}
        self.ids["other"] = people.add(db, SYSTEM, "other@example.org", "Other", _hash(), [Grant("reviewer")])["id"]
        types.apply(db, SYSTEM, REFUND)
        version = policies.draft(db, SYSTEM, "refund", POLICY, "the first")["version"]
        policies.activate(db, SYSTEM, "refund", version)
        self.key = people.create_key(db, SYSTEM, "refund-agent", ["decisions:write"])["key"]
        self.app: FastAPI = create_app(Settings(secret_key="s" * 40, **settings), database=db)

    def _person(self, role: str) -> str:
        person = people.add(self.db, SYSTEM, f"{role}@example.org", role.capitalize(), _hash(), [Grant(role)])
        return str(person["id"])

    def submit(self, *, amount: int = 8_400, confidence: float = 0.95, **body: Any) -> dict[str, Any]:
        """Submit a refund: high stakes from 5,000 on; a person decides below a confidence of 0.8."""
        whole = {
            "decision_type": "refund",
            "model": {"name": "claims", "version": "1"},
            "proposal": {"outcome": "approve", "confidence": confidence, "explanation": f"seen {SCRIPT}"},
            "input": {"amount_cents": amount, "currency": "EUR", "message": SCRIPT},
            "metadata": {},
        } | body
        fingerprint = hashlib.sha256(json.dumps(whole).encode()).hexdigest()
        (answer,) = submit_many(self.db, [Submission(self.key, whole, fingerprint)])
        assert isinstance(answer, Submitted), answer
        found: dict[str, Any] = json.loads(answer.text)
        return found

    def browser(self, who: str | None = None) -> "Browser":
        """Somebody's browser, signed in without the slow password; signed out for None."""
        browser = Browser(self.app)
        if who:
            token = secrets.token_urlsafe()
            with self.db.write() as tx:
                store.open_session(tx, secret_digest(token), self.ids[who])
            browser.client.cookies.set("handrail_session", token)
            browser.get("/account")
        return browser


class Browser:
    """Follows redirects, keeps cookies, sends the form token of the page it is on; runs no script."""

    def __init__(self, app: FastAPI) -> None:
        self.client = TestClient(app, headers={"accept": "text/html"})
        self.text = ""
        self.status = 0
        self.path = ""

    def get(self, path: str, **headers: str) -> str:
        return self._seen(self.client.get(path, headers=headers))

    def post(self, path: str, **fields: Any) -> str:
        return self._seen(self.client.post(path, data={"csrf": self.csrf} | fields))

    def _seen(self, response: Any) -> str:
        self.text, self.status = response.text, response.status_code
        self.path = response.url.raw_path.decode()
        return self.text

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="(\w+)"', self.text)
        return found[1] if found else ""

    @property
    def token(self) -> str:
        found = re.search(r'name="token" value="(\d+)"', self.text)
        return found[1] if found else ""

    @property
    def notice(self) -> str:
        found = re.search(r'<p class="notice [^>]*>.*?</svg>(?:<span>)?(.*?)</', self.text, re.S)
        return found[1] if found else ""
