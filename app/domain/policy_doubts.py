"""Owns what is doubtful in a policy that is sound: an expression that asks for what the input schema does not have.

Must not refuse anything: an expression that fails at run time sends the decision to people.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from app.domain.decision_type import DecisionType
from app.domain.errors import Fault
from app.domain.expressions import Expression, member_paths
from app.domain.policy_shape import Policy


def doubts(policy: Policy, decision_type: DecisionType) -> tuple[Fault, ...]:
    """Paths over `input` that no input can have: where an object lists `properties` and allows no others."""
    return tuple(
        Fault(pointer, detail)
        for pointer, expression in _expressions(policy)
        for path in member_paths(expression, "input")
        if (detail := _unknown(path, decision_type.input_schema))
    )


def _expressions(policy: Policy) -> Iterator[tuple[str, Expression]]:
    for number, stakes in enumerate(policy.stakes_rules):
        yield f"/stakes/rules/{number}/when", stakes.when
    for number, rule in enumerate(policy.rules):
        yield f"/rules/{number}/when", rule.when


def _unknown(path: tuple[str, ...], schema: Any) -> str | None:
    for depth, name in enumerate(path):
        known = _closed(schema)
        if known is not None and name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"; perhaps {near[0]} is meant" if near else ""
            asked = ".".join(("input", *path[: depth + 1]))
            return f"asks for {asked}, which the input schema does not have{hint}."
        schema = schema.get("properties", {}).get(name) if isinstance(schema, Mapping) else None
    return None


def _closed(schema: Any) -> Mapping[str, Any] | None:
    """The properties of an object that allows no others; None where others may be."""
    if not isinstance(schema, Mapping) or schema.get("additionalProperties") is not False:
        return None
    properties = schema.get("properties")
    return properties if isinstance(properties, Mapping) and "patternProperties" not in schema else None
