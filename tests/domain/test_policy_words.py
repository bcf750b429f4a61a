"""Policies in plain sentences: every part of the document is said."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.decision_type import parse_decision_type
from app.domain.policy_document import parse_policy
from app.domain.policy_words import duration_words, explain, share_words

TYPE = parse_decision_type(
    {"slug": "refund", "title": "Refund", "outcomes": [{"key": "approve"}, {"key": "deny", "title": "Deny"}]}
)
DOCUMENT: dict[str, Any] = {
    "decision_type": "refund",
    "stakes": {
        "levels": ["low", "medium", "high"],
        "rules": [
            {"when": "input.amount < 50", "level": "low"},
            {"when": "input.amount\n  < 1000", "level": "medium"},
        ],
    },
    "thresholds": {
        "low": {"autonomous": 0.9},
        "medium": {"autonomous": 0.95, "review": 0.6},
        "high": {"autonomous": "never", "review": 0.8},
    },
    "rules": [{"name": "vip", "when": "input.vip", "at_least": "review_required", "reason": "VIPs are reviewed."}],
    "sample": {"rate": 0.05},
    "review": {"sla": "4h"},
}


def changed(path: str, value: Any) -> dict[str, Any]:
    whole = copy.deepcopy(DOCUMENT)
    *steps, last = path.split(".")
    at = whole
    for step in steps:
        at = at.setdefault(step, {})
    at[last] = value
    return whole


def test_the_sample_policy_is_explained_from_first_to_last() -> None:
    assert [
        "Stakes are low when input.amount < 50.",
        "Otherwise, stakes are medium when input.amount < 1000.",
        "In every other case stakes are high.",
        "The AI service may raise the stakes of a decision, never lower them.",
        "A decision with low stakes goes through on its own when confidence is 0.90 or more; "
        "below that a person reviews it first.",
        "A decision with medium stakes goes through on its own when confidence is 0.95 or more; "
        "from 0.60 up to that a person reviews it first; below 0.60 a person decides.",
        "A decision with high stakes never goes through on its own: a person reviews it when confidence is 0.80 or "
        "more, and decides below that.",
        "At any confidence, a person must look at it when input.vip: VIPs are reviewed (rule vip).",
        "A decision whose input does not match the schema is refused.",
        "When the confidence is missing, the stakes are unknown or an expression fails, a person decides.",
        "5 of 100 autonomous decisions are checked by a person afterwards.",
        "Reviews wait in the queue refund and are due within 4 hours.",
        "Reviewers who review a decision see the AI's proposal from the start.",
        "Reviewers who decide or who check a sample see the AI's proposal after their own judgement.",
    ] == explain(parse_policy(DOCUMENT), TYPE)


def thresholds(low: Any, review: Any) -> dict[str, Any]:
    never = {"autonomous": "never", "review": "never"}
    return changed("thresholds", {"low": {"autonomous": low, "review": review}, "medium": never, "high": never})


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (thresholds(0, 0), "A decision with low stakes goes through on its own at any confidence."),
        (
            thresholds(0.9, 0.9),
            "A decision with low stakes goes through on its own when confidence is 0.90 or more; "
            "below that a person decides.",
        ),
        (
            thresholds("never", 0),
            "A decision with low stakes never goes through on its own: a person reviews each one.",
        ),
        (thresholds(0.9, 0), "A decision with high stakes is always decided by a person."),
        (changed("stakes.rules", []), "Stakes are always high."),
        (changed("sample.rate", 0), "No autonomous decision is checked by a person afterwards."),
        (changed("sample.rate", 1), "Every autonomous decision is checked by a person afterwards."),
        (
            changed("models", ["b@*", "a@1"]),
            "Only these models may act under this policy: a@1 and b (every version); for any other, a person decides.",
        ),
        (changed("review.reviewers", 2), "A decision that waits needs 2 reviewers."),
        (
            changed("review", {"queue": "desk", "sla": "1d"}),
            "Reviews wait in the queue desk and are due within 1 day.",
        ),
        (
            changed("review", {"expires_after": "36h", "on_expiry": "escalate"}),
            "A decision that nobody settled within 36 hours goes to the leads.",
        ),
        (
            changed("review", {"expires_after": "2d", "on_expiry": {"outcome": "deny"}}),
            "A decision that nobody settled within 2 days ends as Deny; where the AI proposed just that, "
            "it goes to the leads instead.",
        ),
    ],
)
def test_each_part_of_a_policy_is_said(document: dict[str, Any], sentence: str) -> None:
    assert sentence in explain(parse_policy(document), TYPE)


def test_a_type_that_takes_invalid_input_says_so() -> None:
    lenient = parse_decision_type(dict(TYPE.document) | {"on_invalid_input": "human_decides"})
    assert "When the input does not match the schema, a person decides." in explain(parse_policy(DOCUMENT), lenient)


@given(st.floats(0.5, 1), st.floats(0, 0.5), st.floats(0, 1), st.integers(1, 5))
def test_every_policy_is_explained_in_whole_sentences(alone: float, seen: float, rate: float, reviewers: int) -> None:
    document = thresholds(alone, seen) | {"sample": {"rate": rate}, "review": {"reviewers": reviewers}}
    policy = parse_policy(document)
    for sentence in explain(policy, TYPE):
        assert (True, ".") == (sentence[0].isalnum(), sentence[-1])
        assert "inf" not in sentence.split()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "1 second"), (90, "90 seconds"), (3_600, "1 hour"), (86_400, "1 day"), (129_600, "36 hours")],
)
def test_durations_use_the_largest_unit_that_is_exact(seconds: int, words: str) -> None:
    assert words == duration_words(seconds)


@pytest.mark.parametrize(
    ("rate", "words"),
    [(0.05, "5 of 100"), (0.29, "29 of 100"), (0.001, "1 of 1,000"), (1, "100 of 100"), (0.333333, "33.3333 %")],
)
def test_shares_are_said_as_people_count(rate: float, words: str) -> None:
    assert words == share_words(rate)
