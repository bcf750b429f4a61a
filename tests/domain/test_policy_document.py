"""Policy documents: what is taken, what is refused and in which words."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.decision_type import parse_decision_type
from app.domain.errors import Fault, Invalid
from app.domain.policy_document import cached_policy, check_against_type, parse_policy
from app.domain.policy_shape import Policy, Threshold, Tier

REFUND = """
decision_type: refund
stakes:
  levels: [low, medium, high]
  rules:
    - {when: "input.amount_cents < 5000", level: low}
    - {when: "input.amount_cents < 100000", level: medium}
thresholds:
  low:    {autonomous: .9, review: 0.0}
  medium: {autonomous: 0.97, review: 0.60}
  high:   {autonomous: never, review: 0.80}
rules:
  - {name: vip, when: "input.customer.vip", at_least: review_required, reason: "VIP customers are reviewed"}
sample: {rate: 0.05}
review:
  queue: refunds
  sla: 4h
  reviewers: 2
  ai_visibility: {review_required: always, human_decides: after_judgement, sample: after_judgement}
  expires_after: 2d
  on_expiry: {outcome: deny}
models: ["agent@1.2", "agent-next@*"]
"""
SMALL: dict[str, Any] = {
    "decision_type": "refund",
    "thresholds": {
        "low": {"autonomous": 0.9},
        "medium": {"autonomous": 0.95, "review": 0.5},
        "high": {"autonomous": "never", "review": 0.8},
    },
}
BROKEN_YAML = [
    ("decision_type: [", "near line 1"),
    ("decision_type: refund\ndecision_type: refund", "A key may be given once only (line 2)"),
    ("{decision_type: a, thresholds: {low: {}, low: {}}}", "A key may be given once only"),
    ('{"decision_type": "a", "decision_type": "b"}', "same key twice"),
    ("a: &x [1]\nb: *x", "Anchors and aliases"),
    ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]", "Anchors and aliases"),
    ("a: !!python/object/apply:os.system ['true']", "Tags are not taken"),
    ("a: !!binary aGk=", "Tags are not taken"),
    ("!!set {a, b}", "Tags are not taken"),
    ("a: 1\n--- \nb: 2", "not readable as YAML"),
    ("", "must be a mapping"),
    ("- a\n- b", "must be a mapping"),
    ("just text", "must be a mapping"),
    ("a: .nan", "finite number"),
    ("a: 1e999", "finite number"),
    ("a: 9007199254740992", "2^53-1"),
    ('a: "\\0"', "must be text"),
    ('a: "\\ud800"', "must be text"),
    ("1: a", "Every key must be text"),
    ("true: a", "Every key must be text"),
    ("? [a, b]\n: c", "A key must be plain text"),
    ("a: \x07", "not readable as YAML"),
    ("a: " + "[" * 40 + "]" * 40, "32 deep"),
    ("a: " + "[" * 20_000, "not readable as YAML"),
    ("#" * 70_000, "65,536 bytes"),
    ("a: \ud800", "valid Unicode"),
    ("a: %b", "not readable as YAML"),
    ("a:\tb\n\tc: d", "not readable as YAML"),
]
NUMBER_OR_NEVER = "must be a number from 0 to 1, or never."
LEVELS = "must be 1 to 32 lower-case letters"
FAULTS: list[tuple[str, Any, str, str]] = [
    # where to put what -> which pointer says which words
    ("decision_type", None, "/decision_type", "is missing"),
    ("decision_type", "Refund!", "/decision_type", "lower-case letters, digits and hyphens"),
    ("decision_type", 7, "/decision_type", "in quotes"),
    ("tresholds", {}, "/tresholds", "the keys are decision_type, stakes, thresholds, rules, sample, models and review"),
    ("a/b~c", 1, "/a~1b~0c", "is not a key here"),
    ("stakes", [], "/stakes", "must be a mapping"),
    ("stakes.level", 1, "/stakes/level", "is not a key here; the keys are levels and rules."),
    ("stakes.levels", [], "/stakes/levels", "a list of 1 to 8 entries"),
    ("stakes.levels", "low", "/stakes/levels", "a list of 1 to 8 entries"),
    ("stakes.levels", ["low", True, "high"], "/stakes/levels/1", LEVELS),
    ("stakes.levels", ["low", "Me dium", "high"], "/stakes/levels/1", LEVELS),
    ("stakes.levels", ["low", "medium", "low"], "/stakes/levels/2", "is named twice"),
    ("stakes.levels", ["low", "medium", "high", "top"], "/thresholds/top", "each level needs thresholds"),
    ("stakes.rules", {}, "/stakes/rules", "a list of 0 to 100 entries"),
    ("stakes.rules", ["x"], "/stakes/rules/0", "must be a mapping"),
    ("stakes.rules", [{"level": "low"}], "/stakes/rules/0/when", "must be an expression"),
    ("stakes.rules", [{"when": True, "level": "low"}], "/stakes/rules/0/when", "must be an expression"),
    ("stakes.rules", [{"when": "a > 1", "level": "low"}], "/stakes/rules/0/when", "`a` is no name here"),
    ("stakes.rules", [{"when": "true"}], "/stakes/rules/0/level", "must be low, medium or high."),
    ("stakes.rules", [{"when": "true", "level": "top"}], "/stakes/rules/0/level", "must be low, medium or high."),
    ("thresholds", None, "/thresholds/low", "is missing"),
    ("thresholds", 0.5, "/thresholds", "must be a mapping"),
    ("thresholds.low", None, "/thresholds/low", "is missing"),
    ("thresholds.low", 0.9, "/thresholds/low", "must be a mapping"),
    ("thresholds.top", {}, "/thresholds/top", "is not a key here; the keys are low, medium and high."),
    ("thresholds.low.auto", 1, "/thresholds/low/auto", "the keys are autonomous and review."),
    ("thresholds.low.autonomous", None, "/thresholds/low/autonomous", "is missing"),
    ("thresholds.low.autonomous", 1.01, "/thresholds/low/autonomous", NUMBER_OR_NEVER),
    ("thresholds.low.autonomous", -0.1, "/thresholds/low/autonomous", NUMBER_OR_NEVER),
    ("thresholds.low.autonomous", True, "/thresholds/low/autonomous", NUMBER_OR_NEVER),
    ("thresholds.low.autonomous", "0.9", "/thresholds/low/autonomous", NUMBER_OR_NEVER),
    ("thresholds.low.autonomous", "Never", "/thresholds/low/autonomous", NUMBER_OR_NEVER),
    ("thresholds.low.review", 90, "/thresholds/low/review", NUMBER_OR_NEVER),
    ("thresholds.low.review", 0.91, "/thresholds/low/review", "must not be above autonomous"),
    ("thresholds.low.review", "never", "/thresholds/low/review", "must not be above autonomous"),
    ("thresholds.low.review", 0.6, "/thresholds/medium/review", "must be at least 0.6, as low has"),
    ("thresholds.medium.autonomous", 0.89, "/thresholds/medium/autonomous", "must be at least 0.9, as low has"),
    ("thresholds.high.autonomous", 0.9, "/thresholds/high/autonomous", "must be at least 0.95, as medium has"),
    ("rules", [{"when": "true", "at_least": "human_decides"}], "/rules/0/name", "is missing"),
    ("rules", [{"name": "a\nb", "when": "true", "at_least": "human_decides"}], "/rules/0/name", "1 to 64 letters"),
    ("rules", [{"name": "a", "when": "input.x(", "at_least": "human_decides"}], "/rules/0/when", "is no function"),
    ("rules", [{"name": "a", "when": "true"}], "/rules/0/at_least", "must be review_required or human_decides."),
    ("rules", [{"name": "a", "when": "true", "at_least": "autonomous"}], "/rules/0/at_least", "only moves towards"),
    ("rules", [{"name": "a", "when": "true", "at_least": "human_decides", "reason": 1}], "/rules/0/reason", "text"),
    (
        "rules",
        [{"name": "a", "when": "true", "at_least": "human_decides", "reason": "x" * 301}],
        "/rules/0/reason",
        "300",
    ),
    (
        "rules",
        [{"name": "a", "when": "true", "at_least": "human_decides", "reason": "x\ny"}],
        "/rules/0/reason",
        "line",
    ),
    ("rules", [{"name": "a", "when": "true", "at_least": "human_decides"}] * 2, "/rules/1/name", "must be unique"),
    ("rules", [{"name": "a", "when": "true", "then": "human_decides"}], "/rules/0/then", "is not a key here"),
    ("rules", [{}] * 101, "/rules", "a list of 0 to 100 entries"),
    ("sample", 0.1, "/sample", "must be a mapping"),
    ("sample.rate", 1.5, "/sample/rate", "a number from 0 to 1"),
    ("sample.rate", "5%", "/sample/rate", "a number from 0 to 1"),
    ("sample.rate", False, "/sample/rate", "a number from 0 to 1"),
    ("sample.rates", 0.1, "/sample/rates", "the keys are rate."),
    ("models", "agent@1", "/models", "a list of 1 to 100 entries"),
    ("models", [], "/models", "a list of 1 to 100 entries"),
    ("models", ["agent"], "/models/0", "name@version"),
    ("models", ["agent@1.*"], "/models/0", "name@version"),
    ("models", ["@1", 3], "/models/1", "name@version"),
    ("review", "4h", "/review", "must be a mapping"),
    ("review.queue", "The Queue", "/review/queue", "lower-case letters"),
    ("review.sla", 4, "/review/sla", "a duration such as 30s"),
    ("review.sla", "4 hours", "/review/sla", "a duration such as 30s"),
    ("review.sla", "0h", "/review/sla", "a duration such as 30s"),
    ("review.sla", "367d", "/review/sla", "366 days at most"),
    ("review.sla", "9" * 50 + "d", "/review/sla", "366 days at most"),
    ("review.reviewers", 0, "/review/reviewers", "a whole number from 1 to 5"),
    ("review.reviewers", 6, "/review/reviewers", "a whole number from 1 to 5"),
    ("review.reviewers", 1.5, "/review/reviewers", "a whole number from 1 to 5"),
    ("review.reviewers", True, "/review/reviewers", "a whole number from 1 to 5"),
    ("review.ai_visibility.sample", "never", "/review/ai_visibility/sample", "must be always or after_judgement."),
    ("review.ai_visibility.gate", "always", "/review/ai_visibility/gate", "is not a key here"),
    ("review.expires_after", "2d", "/review/on_expiry", "come together"),
    ("review.on_expiry", "escalate", "/review/expires_after", "come together"),
    ("review.on_expiry", "approve", "/review/on_expiry", "must be escalate, or {outcome: KEY}"),
    ("review.on_expiry", {}, "/review/on_expiry/outcome", "is missing"),
    ("review.on_expiry", {"outcome": "a b"}, "/review/on_expiry/outcome", "the key of an outcome"),
    ("review.on_expiry", {"outcome": "deny", "then": 1}, "/review/on_expiry/then", "is not a key here"),
]


def document(path: str, value: Any) -> dict[str, Any]:
    """SMALL with one value set at a dotted path (None takes it away)."""
    whole = copy.deepcopy(SMALL)
    *steps, last = path.split(".")
    at = whole
    for step in steps:
        at = at.setdefault(step, {})
    if value is None:
        del at[last]
    else:
        at[last] = value
    return whole


def faults_of(source: Any) -> tuple[Fault, ...]:
    with pytest.raises(Invalid) as refusal:
        parse_policy(source)
    assert "policy_invalid" == refusal.value.code
    return refusal.value.faults


def test_the_documented_sample_is_read_as_it_says() -> None:
    policy = parse_policy(REFUND)
    assert "refund" == policy.decision_type
    assert ("low", "medium", "high") == policy.levels
    assert [("input.amount_cents < 5000", "low"), ("input.amount_cents < 100000", "medium")] == [
        (rule.when.text, rule.level) for rule in policy.stakes_rules
    ]
    assert Threshold(0.97, 0.6) == policy.thresholds["medium"]
    assert [("vip", Tier.REVIEW_REQUIRED, "VIP customers are reviewed")] == [
        (rule.name, rule.at_least, rule.reason) for rule in policy.rules
    ]
    assert (0.05, {"agent@1.2", "agent-next@*"}) == (policy.sample_rate, policy.models)
    review = policy.review
    assert ("refunds", 14_400, 2, 172_800, "deny") == (
        review.queue,
        review.sla_seconds,
        review.reviewers,
        review.expires_after_seconds,
        review.on_expiry,
    )


def test_the_defaults_are_made_explicit_in_the_document() -> None:
    assert {
        "decision_type": "refund",
        "stakes": {"levels": ["low", "medium", "high"], "rules": []},
        "thresholds": {
            "low": {"autonomous": 0.9, "review": 0},
            "medium": {"autonomous": 0.95, "review": 0.5},
            "high": {"autonomous": "never", "review": 0.8},
        },
        "rules": [],
        "sample": {"rate": 0},
        "models": None,
        "review": {
            "queue": None,
            "sla": "24h",
            "reviewers": 1,
            "ai_visibility": {
                "review_required": "always",
                "human_decides": "after_judgement",
                "sample": "after_judgement",
            },
            "expires_after": None,
            "on_expiry": None,
        },
    } == parse_policy(SMALL).document


@pytest.mark.parametrize("source", [REFUND, SMALL, json.dumps(SMALL), "# a comment\n" + json.dumps(SMALL, indent=2)])
def test_a_document_keeps_its_digest_through_json_and_back(source: Any) -> None:
    policy = parse_policy(source)
    again = cached_policy(json.dumps(policy.document))
    assert policy.digest == parse_policy(policy.document).digest == again.digest
    assert (policy.document, policy.canonical_bytes) == (again.document, again.canonical_bytes)


def test_one_meaning_has_one_digest_and_another_has_another() -> None:
    same = parse_policy(document("thresholds.medium.review", 0.50)).digest
    assert parse_policy(SMALL).digest == same
    whole = parse_policy(document("sample.rate", 1)).digest
    assert whole == parse_policy(document("sample.rate", 1.0)).digest
    assert whole != same


def test_yaml_and_json_of_one_document_are_one_policy() -> None:
    yaml_text = (
        "decision_type: refund\nthresholds:\n  low: {autonomous: .9}\n  medium: {autonomous: 0.95, review: .5}\n"
    )
    assert parse_policy(SMALL).digest == parse_policy(yaml_text + "  high: {autonomous: never, review: 0.8}\n").digest


def test_words_that_old_yaml_read_as_booleans_numbers_or_dates_stay_words() -> None:
    policy = parse_policy("{decision_type: 2026-01-01, stakes: {levels: [no, yes, off]}, thresholds: "
                          "{no: {autonomous: 0}, yes: {autonomous: 1}, off: {autonomous: never}}}")  # fmt: skip
    assert ("2026-01-01", ("no", "yes", "off")) == (policy.decision_type, policy.levels)


def test_a_policy_is_compiled_once_per_text() -> None:
    text = json.dumps(SMALL)
    assert cached_policy(text) is cached_policy(text)


@pytest.mark.parametrize(("source", "words"), BROKEN_YAML, ids=lambda part: repr(part[:24]))
def test_what_cannot_be_read_is_refused_in_one_sentence(source: str, words: str) -> None:
    faults = faults_of(source)
    assert words in faults[0].detail


@pytest.mark.parametrize(("path", "value", "pointer", "words"), FAULTS)
def test_each_fault_says_where_it_is_and_what_would_be_right(path: str, value: Any, pointer: str, words: str) -> None:
    found = [fault.detail for fault in faults_of(document(path, value)) if fault.pointer == pointer]
    assert len(found) == 1
    assert words in found[0]


def test_all_faults_are_told_at_once() -> None:
    broken = document("sample.rate", 2) | {"models": ["x"], "bla": 1, "decision_type": "R"}
    assert ["/decision_type", "/sample/rate", "/models/0", "/bla"] == [fault.pointer for fault in faults_of(broken)]


def test_a_flood_of_faults_is_cut_at_a_hundred() -> None:
    assert 100 == len(faults_of(SMALL | {f"k{n}": n for n in range(500)}))


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = ["decision_type", "stakes", "thresholds", "rules", "sample", "models", "review", "levels", "low", "when",
        "autonomous", "name", "on_expiry", "ai_visibility"]  # fmt: skip
NEARLY = st.recursive(ANY_JSON, lambda inner: st.dictionaries(st.sampled_from(KEYS), inner, max_size=4), max_leaves=8)


@given(NEARLY)
def test_any_mapping_is_a_policy_or_is_refused_with_faults(value: Any) -> None:
    try:
        outcome = len(parse_policy({"root": value, **SMALL} if not isinstance(value, dict) else value).digest)
    except Invalid as refusal:
        outcome = len(refusal.faults)
    assert outcome > 0


@given(st.text(max_size=40) | st.text("&*!{}[]:,-'\"\n ab01.%@`|>?#", max_size=40))
def test_any_text_is_a_policy_or_is_refused_with_faults(text: str) -> None:
    assert faults_of(text)


TYPE = parse_decision_type(
    {
        "slug": "refund",
        "title": "Refund",
        "outcomes": [{"key": "approve"}, {"key": "deny"}, {"key": "partial", "approving": False}],
    }
)


def expiring(on_expiry: Any) -> Policy:
    return parse_policy(SMALL | {"review": {"expires_after": "1d", "on_expiry": on_expiry}})


def test_a_policy_that_fits_its_type_has_no_faults() -> None:
    type_of_two = parse_decision_type(
        {"slug": "refund", "title": "R", "outcomes": [{"key": "approve"}, {"key": "deny"}]}
    )
    for policy in (parse_policy(SMALL), expiring("escalate"), expiring({"outcome": "deny"})):
        assert () == check_against_type(policy, type_of_two)


@pytest.mark.parametrize("outcome", ["approve", "nonsense"])
def test_an_expiry_never_approves_nor_invents_an_outcome(outcome: str) -> None:
    type_of_two = parse_decision_type(
        {"slug": "refund", "title": "R", "outcomes": [{"key": "approve"}, {"key": "deny"}]}
    )
    (fault,) = check_against_type(expiring({"outcome": outcome}), type_of_two)
    assert ("/review/on_expiry/outcome", True) == (fault.pointer, "a timeout never approves" in fault.detail)


def test_a_policy_for_another_type_is_a_fault() -> None:
    other = parse_decision_type({"slug": "other", "title": "O", "outcomes": [{"key": "a"}, {"key": "b"}]})
    assert ["/decision_type"] == [fault.pointer for fault in check_against_type(parse_policy(SMALL), other)]


@pytest.mark.parametrize("level", ["low", "medium", "high"])
@pytest.mark.parametrize(
    ("broken", "where"),
    [
        ({"autonomous": 7, "review": 0.8}, "/autonomous"),
        ({"autonomous": "Never", "review": 0.8}, "/autonomous"),
        ({"review": 0.8}, "/autonomous"),
        ({"autonomous": 0.9, "review": "x"}, "/review"),
        ({"autonomous": 0.9, "review": -1}, "/review"),
        (5, ""),
        (["never"], ""),
    ],
)
def test_a_broken_threshold_is_the_only_one_that_is_blamed(level: str, broken: Any, where: str) -> None:
    steady = {name: {"autonomous": 0.9, "review": 0.8} for name in ("low", "medium", "high")}
    with pytest.raises(Invalid) as refused:
        parse_policy({**SMALL, "thresholds": {**steady, level: broken}})
    assert [f"/thresholds/{level}{where}"] == [fault.pointer for fault in refused.value.faults]
