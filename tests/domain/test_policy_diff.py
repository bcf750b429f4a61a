"""Two versions of a policy: every difference is told, with the direction that it moves decisions in."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.policy_diff import Change, Direction, diff
from app.domain.policy_document import parse_policy
from tests.domain.test_policy_words import DOCUMENT, changed


@pytest.mark.parametrize(
    ("path", "value", "sentences"),
    [
        (
            "thresholds.medium.autonomous",
            0.97,
            [
                "Medium stakes: the threshold to go through alone rises from 0.95 to 0.97: "
                "fewer decisions go through alone."
            ],
        ),
        (
            "thresholds.low.autonomous",
            0.8,
            ["Low stakes: the threshold to go through alone falls from 0.90 to 0.80: more decisions go through alone."],
        ),
        (
            "thresholds.high.autonomous",
            0.99,
            [
                "High stakes: the threshold to go through alone falls from never to 0.99: "
                "more decisions go through alone."
            ],
        ),
        (
            "thresholds.medium.review",
            0.7,
            [
                "Medium stakes: the threshold for a review of the AI's proposal rises from 0.60 to 0.70: "
                "more decisions are made by a person from the start."
            ],
        ),
        (
            "stakes.rules",
            [{"when": "input.amount < 70", "level": "low"}, DOCUMENT["stakes"]["rules"][1]],
            ["Stakes are no longer low when input.amount < 50.", "Stakes are now low when input.amount < 70."],
        ),
        (
            "stakes.rules",
            DOCUMENT["stakes"]["rules"][::-1],
            ["The stakes rules are asked in another order."],
        ),
        ("rules", [], ["Rule vip goes away: input.vip no longer means that a person must look at it."]),
        (
            "rules",
            [*DOCUMENT["rules"], {"name": "new", "when": "input.new", "at_least": "human_decides"}],
            ["New rule new: a person decides when input.new."],
        ),
        (
            "rules",
            [{"name": "vip", "when": "input.gold", "at_least": "human_decides", "reason": "Gold"}],
            [
                "Rule vip: applies when input.gold, no longer when input.vip.",
                "Rule vip: when it applies, a person decides; before, a person must look at it.",
                "Rule vip: the reason it gives is worded anew.",
            ],
        ),
        ("sample.rate", 0.005, ["Checks of autonomous decisions fall from 5 of 100 to 5 of 1,000."]),
        ("sample.rate", 0.5, ["Checks of autonomous decisions rise from 5 of 100 to 50 of 100."]),
        ("models", ["a@*"], ["Models that may act under this policy: now a (every version); before, any model."]),
        ("review.queue", "desk", ["Reviews wait in the queue desk, no longer in the decision type's own queue."]),
        ("review.sla", "90m", ["Reviews are due within 90 minutes instead of 4 hours: reviewers have less time."]),
        ("review.reviewers", 3, ["A decision that waits needs 3 reviewers instead of 1 reviewer."]),
        (
            "review.ai_visibility",
            {"sample": "always"},
            ["Reviewers who check a sample see the AI's proposal from the start, no longer after their own judgement."],
        ),
        (
            "review",
            {"sla": "4h", "expires_after": "2d", "on_expiry": {"outcome": "deny"}},
            ["A decision that nobody settles ends as deny after 2 days; before, it waits without an end."],
        ),
        ("review.sla", "240m", []),
    ],
)
def test_each_difference_is_told(path: str, value: Any, sentences: list[str]) -> None:
    assert sentences == [one.text for one in diff(parse_policy(DOCUMENT), parse_policy(changed(path, value)))]


def test_levels_that_come_and_go_are_told() -> None:
    other = copy.deepcopy(DOCUMENT)
    other["stakes"] = {"levels": ["low", "high", "top"]}
    other["thresholds"] = {**DOCUMENT["thresholds"], "top": {"autonomous": "never", "review": "never"}}
    del other["thresholds"]["medium"]
    told = [one.text for one in diff(parse_policy(DOCUMENT), parse_policy(other))]
    assert "The levels of stakes change from low, medium, high to low, high, top (lowest first)." == told[0]
    assert "New level. A decision with top stakes is always decided by a person." in told


@pytest.mark.parametrize(
    ("path", "value", "directions"),
    [
        ("thresholds.medium.autonomous", 0.97, ["people"]),
        ("thresholds.low.autonomous", 0.8, ["alone"]),
        ("thresholds.medium.review", 0.7, ["people"]),
        ("thresholds.medium.review", 0.5, ["alone"]),
        ("stakes.rules", DOCUMENT["stakes"]["rules"][::-1], ["other"]),
        ("rules", [], ["alone"]),
        ("rules", [{**DOCUMENT["rules"][0], "at_least": "human_decides"}], ["people"]),
        ("rules", [{**DOCUMENT["rules"][0], "reason": "New rule "}], ["other"]),
        ("models", ["a@*"], ["people"]),
        ("sample.rate", 0.5, ["other"]),
        ("review.sla", "240m", []),
    ],
)
def test_a_difference_says_where_it_moves_decisions(path: str, value: Any, directions: list[str]) -> None:
    told = diff(parse_policy(DOCUMENT), parse_policy(changed(path, value)))
    assert directions == [one.direction for one in told]


@pytest.mark.parametrize(
    ("models", "direction"),
    [(["a@1"], "people"), (["a@1", "b@1", "c@1"], "alone"), (["c@1"], "other"), (None, "alone")],
)
def test_fewer_models_are_more_for_people(models: list[str] | None, direction: str) -> None:
    old, new = changed("models", ["a@1", "b@1"]), changed("models", models) if models else DOCUMENT
    (told,) = diff(parse_policy(old), parse_policy(new))
    assert direction == told.direction


def test_the_direction_is_no_matter_of_words() -> None:
    text = "New rule fewer decisions go through alone: a person decides when input.x."
    rule = {"name": "fewer decisions go through alone", "when": "input.x", "at_least": "human_decides"}
    more = changed("rules", [*DOCUMENT["rules"], rule])
    assert [Change(text, Direction.PEOPLE)] == diff(parse_policy(DOCUMENT), parse_policy(more))
    (gone,) = diff(parse_policy(more), parse_policy(DOCUMENT))
    assert Direction.ALONE == gone.direction


@given(st.floats(0.5, 1), st.floats(0, 0.5), st.floats(0, 1), st.integers(1, 5))
def test_every_difference_is_a_whole_sentence_and_turns_around(
    alone: float, seen: float, rate: float, reviewers: int
) -> None:
    policy = parse_policy(
        {
            **DOCUMENT,
            "thresholds": {level: {"autonomous": alone, "review": seen} for level in DOCUMENT["thresholds"]},
            "sample": {"rate": rate},
            "review": {"reviewers": reviewers},
        }
    )
    there, back = diff(parse_policy(DOCUMENT), policy), diff(policy, parse_policy(DOCUMENT))
    assert all((True, ".") == (one.text[0].isalnum(), one.text[-1]) for one in there)
    turned = {"people": "alone", "alone": "people", "other": "other"}
    assert [turned[one.direction] for one in there] == [one.direction for one in back]
