"""What a route carries besides its tier: every reason code, the review to ask for, the draw of the sample."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import Fault
from app.domain.policy import (
    Facts,
    Policy,
    Reason,
    ReviewPlan,
    Route,
    Tier,
    evaluate,
    expiry_action,
    parse_policy,
    plain_number,
)

KEY = b"k" * 32
DOCUMENT: dict[str, Any] = {
    "decision_type": "refund",
    "stakes": {
        "levels": ["low", "medium", "high"],
        "rules": [
            {"when": "input.amount < 50", "level": "low"},
            {"when": "proposal.outcome == 'deny'", "level": "low"},
            {"when": "input.amount < 1000", "level": "medium"},
        ],
    },
    "thresholds": {
        "low": {"autonomous": 0.9},
        "medium": {"autonomous": 0.975, "review": 0.6},
        "high": {"autonomous": "never", "review": 0.8},
    },
    "rules": [
        {"name": "vip", "when": "has(input.vip) && input.vip", "at_least": "review_required", "reason": "VIPs."},
        {"name": "sure", "when": "proposal.confidence == 1.0", "at_least": "human_decides"},
    ],
    "models": ["agent@1", "other@*"],
    "review": {
        "queue": "refunds",
        "sla": "4h",
        "reviewers": 2,
        "expires_after": "2d",
        "on_expiry": {"outcome": "deny"},
    },
}


def policy(**changes: Any) -> Policy:
    return parse_policy(copy.deepcopy(DOCUMENT) | changes)


def route(known: Policy | None = None, **changes: Any) -> Route:
    facts: dict[str, Any] = {
        "decision_id": "dec_1",
        "input": {"amount": 10},
        "proposal": {"outcome": "approve", "confidence": 0.95},
        "model": {"name": "agent", "version": "1"},
        "metadata": {},
    }
    return evaluate(known or policy(), Facts(**facts | changes), KEY)


def proposing(confidence: Any, outcome: str = "approve") -> dict[str, Any]:
    return {"outcome": outcome, "confidence": confidence}


STAKES_LOW = Reason("stakes_rule", "Stakes are low by stakes rule 1 (input.amount < 50).")


@pytest.mark.parametrize(
    ("changes", "tier", "reason"),
    [
        ({}, Tier.AUTONOMOUS, STAKES_LOW),
        (
            {},
            Tier.AUTONOMOUS,
            Reason(
                "confident_enough", "Confidence 0.95 reaches 0.90, which low stakes need to go through alone.", True
            ),
        ),
        (
            {"proposal": proposing(0.1234567)},
            Tier.REVIEW_REQUIRED,
            Reason(
                "below_autonomous",
                "Confidence 0.1234567 is below 0.90, which low stakes need to go through alone.",
                True,
            ),
        ),
        (
            {"proposal": proposing(0.5), "input": {"amount": 70}},
            Tier.HUMAN_DECIDES,
            Reason(
                "below_review",
                "Confidence 0.50 is below 0.60, which medium stakes need for the AI's proposal to be reviewed; "
                "a person decides.",
                True,
            ),
        ),
        (
            {"input": {"amount": 5000}},
            Tier.REVIEW_REQUIRED,
            Reason("never_autonomous", "With high stakes no decision goes through alone."),
        ),
        (
            {"input": {"amount": 5000}},
            Tier.REVIEW_REQUIRED,
            Reason("stakes_default", "Stakes are high: no stakes rule applies, and high is the highest level.", True),
        ),
        (
            {"proposal": proposing(0.95, "deny"), "input": {"amount": 5000}},
            Tier.AUTONOMOUS,
            Reason("stakes_rule", "Stakes are low by stakes rule 2 (proposal.outcome == 'deny').", True),
        ),
        (
            {"declared_stakes": "medium"},
            Tier.REVIEW_REQUIRED,
            Reason("stakes_raised", "The AI service raised the stakes from low to medium."),
        ),
        (
            {"declared_stakes": "<b>top</b>"},
            Tier.HUMAN_DECIDES,
            Reason(
                "unknown_stakes",
                "The AI service declared stakes that the policy does not know; the levels are low, medium and high.",
            ),
        ),
        (
            {"input": {"amount": "10"}},
            Tier.HUMAN_DECIDES,
            Reason(
                "expression_failed",
                "Stakes rule 1 (input.amount < 50) could not be evaluated, so stakes are high.",
            ),
        ),
        (
            {"input": {"amount": 10, "vip": "yes"}},
            Tier.HUMAN_DECIDES,
            Reason("expression_failed", "The rule vip could not be evaluated, so a person decides."),
        ),
        ({"input": {"amount": 10, "vip": True}}, Tier.REVIEW_REQUIRED, Reason("rule_applies", "VIPs (rule vip).")),
        (
            {"proposal": proposing(1.0)},
            Tier.HUMAN_DECIDES,
            Reason("rule_applies", "The rule sure applies (rule sure).", True),
        ),
        (
            {"proposal": {}},
            Tier.HUMAN_DECIDES,
            Reason("confidence_missing", "The AI gave no confidence, so a person decides."),
        ),
        (
            {"proposal": proposing(2)},
            Tier.HUMAN_DECIDES,
            Reason("confidence_invalid", "The AI's confidence is no number from 0 to 1, so a person decides."),
        ),
        (
            {"model": {"name": "agent", "version": "2"}},
            Tier.HUMAN_DECIDES,
            Reason("unknown_model", "The policy was not written for this model version, so a person decides."),
        ),
        (
            {"input_faults": (Fault("/input/a", "is missing."), Fault("/input/b", "must be text."))},
            Tier.HUMAN_DECIDES,
            Reason("input_invalid", "The input does not match the decision type's schema at /input/a and /input/b."),
        ),
    ],
)
def test_each_reason_has_its_code_and_a_sentence(changes: dict[str, Any], tier: Tier, reason: Reason) -> None:
    answer = route(**changes)
    assert tier == answer.tier
    assert reason in answer.reasons


def test_a_level_that_people_always_decide_says_so() -> None:
    always = {"autonomous": "never", "review": "never"}
    answer = route(policy(thresholds=dict.fromkeys(("low", "medium", "high"), always)))
    assert Reason("always_human", "With low stakes a person always decides.") in answer.reasons


def test_enough_confidence_is_no_reason_for_a_review() -> None:
    answer = route(input={"amount": 10, "vip": True})
    assert ["stakes_rule", "rule_applies"] == [reason.code for reason in answer.reasons]


def test_many_faulty_places_are_named_in_part() -> None:
    faults = tuple(Fault(f"/input/{n}", "is missing.") for n in range(20))
    (reason,) = (reason for reason in route(input_faults=faults).reasons if reason.code == "input_invalid")
    assert reason.text.endswith("/input/0, /input/1, /input/2, /input/3, /input/4 and 15 more places.")


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ({"name": "agent", "version": "1"}, True),
        ({"name": "other", "version": "99"}, True),
        ({"name": "other"}, False),
        ({"name": "other", "version": ""}, False),
        ({"name": "agent", "version": 1}, False),
        ({"name": "agent@1", "version": "1"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_only_models_that_the_policy_names_go_through_alone(model: Any, known: bool) -> None:
    assert known is ("unknown_model" not in {reason.code for reason in route(model=model).reasons})


@pytest.mark.parametrize("declared", [None, "low", "medium", "high"])
def test_a_caller_raises_the_stakes_and_never_lowers_them(declared: str | None) -> None:
    levels = ("low", "medium", "high")
    for amount, computed in ((10, "low"), (70, "medium"), (5000, "high")):
        expected = max(computed, declared or computed, key=levels.index)
        assert expected == route(input={"amount": amount}, declared_stakes=declared).stakes


def test_a_gate_carries_the_terms_of_the_policy_and_is_most_urgent_at_the_highest_stakes() -> None:
    review = route(input={"amount": 5000}).review
    assert ReviewPlan("gate", "refunds", 14_400, 2, False, 0, 172_800, "deny") == review
    decided = route(proposal={}).review
    assert ReviewPlan("gate", "refunds", 14_400, 2, True, 2, 172_800, "deny") == decided


def test_a_sample_asks_one_person_blind_and_never_expires() -> None:
    answer = route(policy(sample={"rate": 1}))
    assert (True, 1.0) == (answer.sampled, answer.inclusion_probability)
    assert ReviewPlan("sample", "refunds", 14_400, 1, True, 2, None, None) == answer.review


def test_without_a_sample_an_autonomous_decision_asks_nobody() -> None:
    answer = route()
    assert (False, 0.0, None) == (answer.sampled, answer.inclusion_probability, answer.review)


def test_visibility_follows_the_tier() -> None:
    shown = {"review_required": "after_judgement", "human_decides": "always", "sample": "always"}
    known = policy(review={"ai_visibility": shown}, sample={"rate": 1})
    blind = [
        answer.review and answer.review.blind
        for answer in (route(known), route(known, proposal=proposing(0.5)), route(known, proposal={}))
    ]
    assert [False, True, False] == blind


@pytest.mark.parametrize(("declared", "stakes", "priority"), [(None, "high", 0), ("low", "low", 2), ("top", "high", 0)])
def test_without_a_policy_a_person_decides_within_a_day(declared: str | None, stakes: str, priority: int) -> None:
    answer = evaluate(None, Facts("dec_1", {}, {}, {}, {}, declared), KEY)
    assert (Tier.HUMAN_DECIDES, stakes) == (answer.tier, answer.stakes)
    assert ReviewPlan("gate", None, 86_400, 1, True, priority, None, None) == answer.review


@pytest.mark.parametrize(
    ("on_expiry", "proposed", "action"),
    [
        ("escalate", "deny", "escalate"),
        ("deny", "approve", "deny"),
        ("deny", "deny", "escalate"),
        (None, "deny", "escalate"),
        ("deny", None, "deny"),
    ],
)
def test_a_timeout_never_does_what_the_ai_proposed(on_expiry: str | None, proposed: str | None, action: str) -> None:
    assert action == expiry_action(on_expiry, proposed)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.9, "0.90"), (0, "0.00"), (1, "1.00"), (0.975, "0.975"), (1e-7, "0.0000001"), (0.30000000000000004,) * 2],
)
def test_numbers_are_written_out(number: float, text: Any) -> None:
    assert str(text) == plain_number(number)


CONFIDENCE = st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.9, 1.0, "never"])
RANK = {"never": 2.0}


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """Any acceptable policy whose expressions read the input alone."""
    levels = ["low", "medium", "high"]
    autonomous = sorted((draw(CONFIDENCE) for _ in levels), key=lambda number: RANK.get(number, number))
    review = sorted((draw(CONFIDENCE) for _ in levels), key=lambda number: RANK.get(number, number))
    pairs = [
        (alone, min(alone, seen, key=lambda number: RANK.get(number, number)))
        for alone, seen in zip(autonomous, review, strict=True)
    ]
    conditions = st.sampled_from(["input.a", "input.n > 10", "input.n > 100", "input.missing", "true", "false"])
    few_conditions = st.lists(conditions, max_size=3)
    return {
        "decision_type": "any",
        "stakes": {
            "levels": levels,
            "rules": [{"when": when, "level": draw(st.sampled_from(levels))} for when in draw(few_conditions)],
        },
        "thresholds": {
            level: {"autonomous": alone, "review": seen} for level, (alone, seen) in zip(levels, pairs, strict=True)
        },
        "rules": [
            {"name": f"rule {n}", "when": when, "at_least": draw(st.sampled_from(["review_required", "human_decides"]))}
            for n, when in enumerate(draw(few_conditions))
        ],
        "sample": {"rate": draw(st.sampled_from([0, 0.5, 1]))},
    }  # fmt: skip


INPUT = st.fixed_dictionaries({"a": st.booleans(), "n": st.integers(0, 200)})
NUMBER = st.floats(0, 1)


@given(policies(), INPUT, NUMBER, NUMBER)
def test_under_any_policy_more_confidence_never_moves_towards_people(
    document: dict[str, Any], value: Any, one: float, other: float
) -> None:
    known = parse_policy(document)
    less, more = (route(known, input=value, proposal=proposing(number)) for number in sorted((one, other)))
    assert more.tier.rank <= less.tier.rank


@given(policies(), INPUT, NUMBER, st.sampled_from(["low", "medium", "high", "unheard of"]))
def test_under_any_policy_declared_stakes_never_move_away_from_people(
    document: dict[str, Any], value: Any, number: float, declared: str
) -> None:
    known = parse_policy(document)
    undeclared = route(known, input=value, proposal=proposing(number))
    assert (
        undeclared.tier.rank
        <= route(known, input=value, proposal=proposing(number), declared_stakes=declared).tier.rank
    )


@given(
    policies(), INPUT, NUMBER, st.sampled_from(["input.a", "input.missing", "false"]), st.sampled_from(list(Tier)[1:])
)
def test_under_any_policy_one_more_rule_never_moves_away_from_people(
    document: dict[str, Any], value: Any, number: float, when: str, at_least: Tier
) -> None:
    rule = {"name": "one more", "when": when, "at_least": at_least.value}
    without, with_rule = (
        route(parse_policy(document | {"rules": rules}), input=value, proposal=proposing(number))
        for rules in (document["rules"], [*document["rules"], rule])
    )
    assert without.tier.rank <= with_rule.tier.rank


@given(policies(), INPUT, NUMBER, st.text(max_size=10))
def test_under_any_policy_a_replay_is_the_same_bit_for_bit(
    document: dict[str, Any], value: Any, number: float, decision_id: str
) -> None:
    known, again = parse_policy(document), parse_policy(parse_policy(document).document)
    facts = {"input": value, "proposal": proposing(number), "decision_id": decision_id}
    assert repr(route(known, **facts)) == repr(route(again, **facts))


def test_another_key_draws_another_sample() -> None:
    known = policy(sample={"rate": 0.5})
    facts = [
        Facts(f"dec_{n}", {"amount": 1}, proposing(0.95), {"name": "agent", "version": "1"}, {}) for n in range(64)
    ]
    draws = [[evaluate(known, one, key).sampled for one in facts] for key in (KEY, KEY, b"another")]
    assert draws[0] == draws[1] != draws[2]


def test_a_value_as_deep_as_memory_allows_still_gets_a_route() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert Tier.HUMAN_DECIDES == route(input=deep, proposal=deep, metadata=deep, model=deep).tier
