"""What routing promises: towards people when in doubt, and the same again on replay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.canonical import dumps
from app.domain.errors import Invalid
from app.domain.policy import Facts, Policy, Tier, cached_policy, evaluate, parse_policy
from tests import factories

KEY = b"k" * 32
DOCUMENT = {
    **factories.POLICY,
    "rules": [{"name": "vip", "when": "input.vip == true", "at_least": "review_required", "reason": "VIP"}],
    "sample": {"rate": 0.3},
}
POLICY = parse_policy(DOCUMENT)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
CONFIDENCE = st.floats(0, 1)
LADDER = (None, "low", "medium", "high")


def facts(confidence: object = 0.95, amount: object = 100, **more: object) -> Facts:
    known = {
        "decision_id": "dec_1",
        "input": {"amount_cents": amount, "vip": more.pop("vip", False)},
        "proposal": {"outcome": "approve", "confidence": confidence},
        "model": {"name": "m", "version": "1"},
        "metadata": {},
    }
    return Facts(**(known | more))  # type: ignore[arg-type]


def tier(confidence: object = 0.95, amount: object = 100, policy: Policy | None = POLICY, **more: object) -> Tier:
    return evaluate(policy, facts(confidence, amount, **more), KEY).tier


@pytest.mark.parametrize(
    ("confidence", "amount", "expected"),
    [
        (0.90, 100, Tier.AUTONOMOUS),
        (0.89, 100, Tier.REVIEW_REQUIRED),
        (0.97, 5000, Tier.AUTONOMOUS),
        (0.96, 5000, Tier.REVIEW_REQUIRED),
        (0.59, 5000, Tier.HUMAN_DECIDES),
        (1.0, 100000, Tier.REVIEW_REQUIRED),
        (0.79, 100000, Tier.HUMAN_DECIDES),
        (None, 100, Tier.HUMAN_DECIDES),
        (True, 100, Tier.HUMAN_DECIDES),
        ("0.99", 100, Tier.HUMAN_DECIDES),
        (float("nan"), 100, Tier.HUMAN_DECIDES),
        (float("inf"), 100, Tier.HUMAN_DECIDES),
        (1.01, 100, Tier.HUMAN_DECIDES),
        (0.99, "lots", Tier.HUMAN_DECIDES),
    ],
)
def test_thresholds_and_doubt_route_as_the_document_says(confidence: object, amount: object, expected: Tier) -> None:
    assert expected == tier(confidence, amount)


def test_no_active_policy_means_that_people_decide() -> None:
    route = evaluate(None, facts(), KEY)
    assert (Tier.HUMAN_DECIDES, ["no_active_policy"]) == (route.tier, [reason.code for reason in route.reasons])


def test_a_reason_says_what_was_needed() -> None:
    texts = [reason.text for reason in evaluate(POLICY, facts(0.83, 5000), KEY).reasons]
    assert "Confidence 0.83 is below 0.97, which medium stakes need to go through alone." in texts


@given(CONFIDENCE, CONFIDENCE, st.integers(0, 200_000), st.sampled_from(LADDER))
def test_more_confidence_never_moves_a_decision_towards_people(
    one: float, other: float, amount: int, declared: str | None
) -> None:
    low, high = sorted((one, other))
    less = tier(low, amount, declared_stakes=declared)
    more = tier(high, amount, declared_stakes=declared)
    assert more.rank <= less.rank


@given(CONFIDENCE, st.integers(0, 200_000), st.sampled_from(range(4)), st.sampled_from(range(4)))
def test_more_stakes_never_move_a_decision_away_from_people(confidence: float, amount: int, a: int, b: int) -> None:
    low, high = sorted((a, b))
    less = tier(confidence, amount, declared_stakes=LADDER[low])
    more = tier(confidence, amount, declared_stakes=LADDER[high])
    assert less.rank <= more.rank


@given(CONFIDENCE, st.integers(0, 200_000), st.booleans(), st.sampled_from(["review_required", "human_decides"]))
def test_a_rule_never_moves_a_decision_away_from_people(
    confidence: float, amount: int, vip: bool, at_least: str
) -> None:
    rule = {"name": "extra", "when": "input.vip == true", "at_least": at_least, "reason": "extra"}
    stricter = parse_policy(DOCUMENT | {"rules": [*DOCUMENT["rules"], rule]})
    assert tier(confidence, amount, vip=vip).rank <= tier(confidence, amount, stricter, vip=vip).rank


@given(JSON, JSON, JSON, JSON)
def test_any_input_at_all_gets_a_route_with_reasons(
    value: object, proposal: object, model: object, stakes: object
) -> None:
    route = evaluate(POLICY, Facts("dec_1", value, proposal, model, {}, stakes), KEY)  # type: ignore[arg-type]
    assert route.reasons
    assert route.stakes in POLICY.levels


@given(st.text(alphabet="0123456789abcdef", min_size=8, max_size=8), CONFIDENCE, st.integers(0, 200_000))
def test_a_replay_from_the_stored_document_gives_the_same_route(
    decision_id: str, confidence: float, amount: int
) -> None:
    known = facts(confidence, amount, decision_id=f"dec_{decision_id}")
    stored = cached_policy(dumps(dict(POLICY.document)))
    assert POLICY.digest == stored.digest
    assert evaluate(POLICY, known, KEY) == evaluate(stored, known, KEY)


def test_samples_are_drawn_at_about_the_rate_and_only_from_the_autonomous() -> None:
    routes = [evaluate(POLICY, facts(0.99, decision_id=f"dec_{n}"), KEY) for n in range(4000)]
    share = sum(route.sampled for route in routes) / len(routes)
    assert 0.27 < share < 0.33
    assert not evaluate(POLICY, facts(0.1), KEY).sampled


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"surprise": 1}, "/surprise"),
        (
            {"thresholds": DOCUMENT["thresholds"] | {"low": {"autonomous": 1.5, "review": 0}}},
            "/thresholds/low/autonomous",
        ),
        (
            {"thresholds": DOCUMENT["thresholds"] | {"low": {"autonomous": 0.5, "review": 0.6}}},
            "/thresholds/low/review",
        ),
        ({"thresholds": {"low": {"autonomous": 0.9, "review": 0.0}}}, "/thresholds"),
        ({"sample": {"rate": 2}}, "/sample/rate"),
        (
            {"rules": [{"name": "x", "when": "unknown.thing", "at_least": "review_required", "reason": "r"}]},
            "/rules/0/when",
        ),
        ({"rules": [{"name": "x", "when": "1 +", "at_least": "review_required", "reason": "r"}]}, "/rules/0/when"),
        ({"rules": [{"name": "x", "when": "true", "at_least": "autonomous", "reason": "r"}]}, "/rules/0/at_least"),
    ],
)
def test_a_broken_document_is_refused_at_the_place_that_is_wrong(change: dict[str, object], pointer: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_policy(DOCUMENT | change)
    assert any(fault.pointer.startswith(pointer) for fault in refusal.value.faults), refusal.value.faults
