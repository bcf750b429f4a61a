"""Owns the demonstration's AI service: invented decisions, sent through the public API at a visible pace."""

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx

SEED = 7
BURST, BURST_PACE, PACE = 24, 0.15, 2.0  # decisions that come quickly at first; seconds between decisions
MOST = 600  # a demonstration left alone over night does not fill the disk
Body = dict[str, Any]


class Service(threading.Thread):
    """Submits until stopped; calls `on_first_answer` once the server has answered for the first time."""

    def __init__(self, url: str, key: str, *, on_first_answer: Callable[[], None]) -> None:
        super().__init__(name="demo-ai-service", daemon=True)
        self._url, self._key = url, key
        self._first: Callable[[], None] | None = on_first_answer
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        headers = {"Authorization": f"Bearer {self._key}"}
        with httpx.Client(base_url=self._url, headers=headers, timeout=10, trust_env=False) as client:
            for number, body in enumerate(bodies(SEED)):
                while not self._sent(client, body):
                    if self._stopped.wait(0.2):
                        return
                if number == MOST or self._stopped.wait(BURST_PACE if number < BURST else PACE):
                    return

    def _sent(self, client: httpx.Client, body: Body) -> bool:
        try:
            answer = client.post("/api/v1/decisions", json=body)
        except httpx.HTTPError:
            return False
        if self._first and answer.is_success:
            self._first()
            self._first = None
        return answer.status_code < 500


def bodies(seed: int) -> Iterator[Body]:
    """Decisions without end, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311
    number = 0
    while True:
        number += 1
        make = chance.choices((_refund, _post, _closure), (6, 5, 1))[0]
        yield {"external_id": f"demo-{seed}-{number}"} | make(chance)


def _confidence(chance: random.Random, doubt: float) -> float:
    """A classifier's score: near 1 for clear cases, spread out for doubtful ones. `doubt` is in [0, 1]."""
    return round(min(0.999, max(0.05, chance.betavariate(40 - 32 * doubt, 0.5 + 3 * doubt))), 3)


CUSTOMERS = (
    "Ada Okafor", "Ben Lindqvist", "Chiara Russo", "Dev Patel", "Elif Demir", "Femi Adeyemi", "Grace Mbeki",
    "Hana Sato", "Igor Petrov", "Joana Silva",
)  # fmt: skip
CLAIMS = (
    ("The parcel never arrived; tracking stopped in Linz nine days ago.", 0.1),
    ("It broke on the second day. Photos are attached.", 0.3),
    ("Wrong size, sent back last Monday.", 0.0),
    ("I was charged twice for the same order.", 0.1),
    ("It does not look like the picture at all.", 0.8),
    ("My nephew ordered this without asking me.", 0.9),
)
PRICES = (1_490, 2_450, 3_900, 8_900, 12_900, 24_900, 64_900, 129_000, 189_000)


def _refund(chance: random.Random) -> Body:
    name, (claim, doubt), often = (
        chance.choice(CUSTOMERS),
        chance.choice(CLAIMS),
        chance.choice((0, 0, 0, 1, 1, 2, 4, 6)),
    )
    amount = chance.choice(PRICES)
    order = f"A-{chance.randrange(10_000, 99_999)}"
    suspicious = often > 3
    why = f"{often} refunds in 90 days." if suspicious else "The claim fits the order and the carrier's record."
    return {
        "decision_type": "refund",
        "subject": f"order {order}",
        "model": {"name": "refund-agent", "version": "2026-11"},
        "proposal": {
            "outcome": "deny" if suspicious else "approve",
            "confidence": _confidence(chance, min(1.0, doubt + 0.4 * suspicious)),
            "explanation": why,
            "arguments": {"order": order, "amount_cents": amount},
        },
        "input": {
            "order": order,
            "amount_cents": amount,
            "currency": "EUR",
            "reason": claim,
            "customer": {
                "name": name,
                "since": chance.randrange(2012, 2027),
                "vip": chance.random() < 0.1,
                "refunds_90d": often,
            },
        },
    }


POSTS = (
    ("Best concert of my life, I have no voice left!", "keep", 0.0),
    ("This referee should be fired into the sun.", "keep", 0.6),
    ("Buy 10,000 followers, cheap, delivery today!! Link in my profile", "limit", 0.1),
    ("You people should all go back to where you came from.", "remove", 0.3),
    ('As my grandmother said: "never trust a man in a new hat".', "keep", 0.5),
    ("Doctors hide this from you: salt water cures everything", "limit", 0.5),
    ("<b>FREE</b> <script>alert('prize')</script> click now", "limit", 0.2),
    ("I will find out where you live.", "remove", 0.5),
    ("Lost: grey cat, one white paw, around the old harbour.", "keep", 0.0),
)


def _post(chance: random.Random) -> Body:
    text, outcome, doubt = chance.choice(POSTS)
    score = _confidence(chance, doubt)
    rest = [one for one in ("keep", "limit", "remove") if one != outcome]
    scores = {outcome: score, rest[0]: round((1 - score) * 0.7, 3), rest[1]: round((1 - score) * 0.3, 3)}
    return {
        "decision_type": "content-moderation",
        "model": {"name": "tone-classifier", "version": "4.2"},
        "proposal": {"outcome": outcome, "confidence": score, "scores": scores},
        "input": {
            "text": text,
            "language": "en",
            "reports": chance.choice((0, 0, 1, 2, 3, 7)),
            "author": {
                "followers": chance.choice((80, 900, 12_000, 400_000)),
                "earlier_removals": chance.choice((0, 0, 0, 1, 3)),
            },
        },
    }


SIGNALS = (
    "Twelve transfers to new payees within an hour",
    "The photo of the passport does not match the earlier one",
    "Salary moves on to a crypto exchange on the day it arrives",
    "Signed in from three countries in one day",
)


def _closure(chance: random.Random) -> Body:
    name = chance.choice(CUSTOMERS)
    return {
        "decision_type": "account-closure",
        "subject": name,
        "model": {"name": "risk-model", "version": "11"},
        "proposal": {
            "outcome": chance.choice(("restrict", "restrict", "close", "keep_open")),
            "confidence": _confidence(chance, 0.6),
        },
        "input": {
            "customer": name,
            "signals": chance.sample(SIGNALS, chance.choice((1, 2))),
            "account_age_days": chance.randrange(20, 4_000),
            "balance": f"{chance.randrange(0, 900_000) / 100:.2f}",
            "vulnerable_customer": chance.random() < 0.15,
        },
    }
