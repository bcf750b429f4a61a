"""What is doubtful in a sound policy: a path over the input that no input can have."""

from typing import Any

import pytest

from app.domain.decision_type import DecisionType, parse_decision_type
from app.domain.expressions import compile_expression, member_paths
from app.domain.policy_document import parse_policy
from app.domain.policy_doubts import doubts
from tests.factories import POLICY, REFUND

CLOSED = {
    "type": "object",
    "properties": {
        "amount_cents": {"type": "integer"},
        "customer": {"type": "object", "properties": {"vip": {}}, "additionalProperties": False},
        "free": {"type": "object", "properties": {"a": {}}},
    },
    "additionalProperties": False,
}


def type_of(schema: dict[str, Any]) -> DecisionType:
    return parse_decision_type({**REFUND, "input_schema": schema})


def said(when: str, schema: dict[str, Any] = CLOSED) -> list[tuple[str, str]]:
    policy = {**POLICY, "rules": [{"name": "r", "when": when, "at_least": "human_decides", "reason": "R"}]}
    return [(one.pointer, one.detail) for one in doubts(parse_policy(policy), type_of(schema))]


@pytest.mark.parametrize(
    ("when", "asked"),
    [
        ("input.amout_cents > 5", "input.amout_cents, which the input schema does not have; perhaps amount_cents is"),
        ("input.customer.vpi", "input.customer.vpi, which the input schema does not have; perhaps vip is"),
        ("has(input.colour)", "input.colour, which the input schema does not have."),
        ("input . zzz == 1 || input.zzz == 2", "input.zzz, which"),
    ],
)
def test_a_path_that_no_input_can_have_is_doubtful(when: str, asked: str) -> None:
    ((pointer, detail),) = said(when)
    assert ("/rules/0/when", True) == (pointer, detail.startswith(f"asks for {asked}"))


@pytest.mark.parametrize(
    "when",
    [
        "input.amount_cents > 5 && input.customer.vip",
        "input.free.anything == 1",
        "input.amount_cents.deeper == 1",
        'input["amout_cents"] == 1',
        "proposal.input.zzz == 1",
        "metadata.zzz == 1",
        '"input.zzz" == "x"',
        "true // input.zzz",
    ],
)
def test_what_an_input_may_have_is_not(when: str) -> None:
    assert [] == said(when)


@pytest.mark.parametrize(
    "more", [{"additionalProperties": True}, {"patternProperties": {"^a": {}}}, {"additionalProperties": {}}]
)
def test_an_open_schema_raises_no_doubt(more: dict[str, Any]) -> None:
    assert [] == said("input.amout_cents > 5", {**CLOSED, **more})


def test_stakes_rules_are_looked_at_too() -> None:
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    told = doubts(parse_policy(dict(POLICY)), type_of(schema))
    assert ["/stakes/rules/0/when", "/stakes/rules/1/when"] == [one.pointer for one in told]


def test_paths_end_at_methods_and_indexes() -> None:
    found = member_paths(compile_expression("input.a.b.size() > 0 && input.c[0].d == 1 && input.size() > 1"), "input")
    assert (("a", "b"), ("c",)) == found
