"""Decision types: what is taken, what is refused, and how an input is checked against the schema."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.decision_type import DecisionType, cached_type, input_faults, parse_decision_type
from app.domain.errors import Fault, Invalid

SMALL: dict[str, Any] = {
    "slug": "refund",
    "title": "Refund",
    "outcomes": [{"key": "approve", "title": "Approve"}, {"key": "deny", "title": "Deny"}],
}
CENSUS = """
slug: income
title: Income band
outcomes:
  - {key: <=50K, title: "50,000 or less"}
  - {key: ">50K"}
  - {key: no}
reason_codes: [{key: misread, title: The AI misread the record}]
guidance: |
  # Look at
  the whole record.
"""
FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"slug": None}, "/slug", "is missing"),
    ({"slug": "Refund"}, "/slug", "lower-case letters, digits and hyphens"),
    ({"slug": "-a"}, "/slug", "starting with a letter or digit"),
    ({"slug": "a" * 64}, "/slug", "1 to 63"),
    ({"slug": "a\n"}, "/slug", "lower-case letters"),
    ({"title": None}, "/title", "is missing"),
    ({"title": "  "}, "/title", "one line of 1 to 200 characters"),
    ({"title": "a\x1bb"}, "/title", "one line"),
    ({"title": ["a"]}, "/title", "must be text"),
    ({"owner": 3}, "/owner", "must be text"),
    ({"surprise": 1}, "/surprise", "is not a key here; the keys are slug, title, owner, outcomes"),
    ({"outcomes": None}, "/outcomes", "a list of 2 to 20 entries"),
    ({"outcomes": "approve, deny"}, "/outcomes", "a list of 2 to 20 entries"),
    ({"outcomes": [{"key": "a"}]}, "/outcomes", "a list of 2 to 20 entries"),
    ({"outcomes": [{"key": f"k{n}"} for n in range(21)]}, "/outcomes", "a list of 2 to 20 entries"),
    ({"outcomes": ["approve", {"key": "a"}]}, "/outcomes/0", "must be a mapping"),
    ({"outcomes": [{"key": "a"}, {"title": "B"}]}, "/outcomes/1/key", "is missing"),
    ({"outcomes": [{"key": "a"}, {"key": "b c"}]}, "/outcomes/1/key", "letters, digits or any of"),
    ({"outcomes": [{"key": "a"}, {"key": True}]}, "/outcomes/1/key", "in quotes"),
    ({"outcomes": [{"key": "a"}, {"key": "a"}]}, "/outcomes/1/key", "keys must be unique"),
    ({"outcomes": [{"key": "a"}, {"key": "b", "approving": "yes"}]}, "/outcomes/1/approving", "must be true or false."),
    ({"outcomes": [{"key": "a"}, {"key": "b", "approve": True}]}, "/outcomes/1/approve", "is not a key here"),
    ({"reason_codes": {}}, "/reason_codes", "a list of 0 to 100 entries"),
    ({"reason_codes": [{"key": "a"}, {"key": "a"}]}, "/reason_codes/1/key", "keys must be unique"),
    ({"reason_codes": [{"key": "a b"}]}, "/reason_codes/0/key", "letters, digits or any of"),
    ({"queue": "My queue"}, "/queue", "lower-case letters"),
    ({"on_invalid_input": "ignore"}, "/on_invalid_input", "must be reject or human_decides."),
    ({"on_invalid_input": False}, "/on_invalid_input", "must be reject or human_decides."),
    ({"retention": {"days": 182}}, "/retention/days", "a whole number of days from 183 (six months)"),
    ({"retention": {"days": True}}, "/retention/days", "a whole number of days from 183"),
    ({"retention": {}}, "/retention/days", "a whole number of days from 183"),
    ({"retention": {"days": 200, "months": 6}}, "/retention/months", "is not a key here"),
    ({"retention": 200}, "/retention", "must be a mapping"),
    ({"legal_hold": "yes"}, "/legal_hold", "must be true or false."),
    ({"rationale": "sometimes"}, "/rationale", "must be never, override or always."),
    ({"lease": 15}, "/lease", "a duration such as 30s"),
    ({"lease": "15min"}, "/lease", "a duration such as 30s"),
    ({"guidance": ["a"]}, "/guidance", "Markdown text"),
    ({"guidance": "a" * 20_001}, "/guidance", "20,000 characters"),
    ({"input_schema": "object"}, "/input_schema", "must be a JSON Schema, as a mapping."),
    ({"input_schema": {"type": "objekt"}}, "/input_schema/type", "is not valid JSON Schema"),
    ({"input_schema": {"properties": {"a/b": {"minLength": -1}}}}, "/input_schema/properties/a~1b/minLength", "valid"),
    ({"input_schema": {"properties": {"a": {"pattern": "("}}}}, "/input_schema/properties/a/pattern", "is not valid"),
    ({"input_schema": {"$schema": "https://example.com/mine"}}, "/input_schema", ""),
    ({"input_schema": {"$ref": "#/$defs/missing"}}, "/input_schema", ""),
    ({"input_schema": {"$ref": "https://example.com/x"}}, "/input_schema/$ref", "nothing is fetched"),
    (
        {"input_schema": {"properties": {"a": {"items": [{"$ref": "file:///etc/passwd"}]}}}},
        "/input_schema/properties/a/items/0/$ref",
        "nothing is fetched",
    ),
]  # fmt: skip
SCHEMA = {
    "type": "object",
    "required": ["amount", "currency"],
    "properties": {
        "amount": {"type": "integer", "minimum": 1, "exclusiveMaximum": 100, "multipleOf": 2},
        "currency": {"enum": ["EUR", "GBP"]},
        "note": {"type": ["string", "null"], "minLength": 2, "maxLength": 4, "pattern": "^[a-z]+$"},
        "tags": {"type": "array", "minItems": 1, "maxItems": 2, "uniqueItems": True, "items": {"type": "string"}},
        "a/b~c": {"const": 1},
        "none": False,
        "choice": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
        "any": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "not": {"not": {"type": "integer"}},
        "has": {"contains": {"const": 1}},
        "keys": {"type": "object", "propertyNames": {"maxLength": 2}, "maxProperties": 2},
    },
    "additionalProperties": False,
}


def of_schema(schema: dict[str, Any]) -> DecisionType:
    return parse_decision_type(SMALL | {"input_schema": schema})


def told(change: dict[str, Any]) -> dict[str, str]:
    whole = {"amount": 2, "currency": "EUR"} | change
    return {fault.pointer: fault.detail for fault in input_faults(of_schema(SCHEMA), whole)}


def test_outcomes_of_real_data_are_taken_as_text() -> None:
    census = parse_decision_type(CENSUS)
    assert ("<=50K", ">50K", "no") == census.outcome_keys
    assert ("50,000 or less", "no", "gone") == (
        census.title_of("<=50K"),
        census.title_of("no"),
        census.title_of("gone"),
    )
    assert (("misread",), "# Look at\nthe whole record.\n") == (census.reason_keys, census.guidance)


def test_the_defaults_are_made_explicit_in_the_document() -> None:
    known = parse_decision_type(SMALL)
    assert (
        SMALL
        | {
            "owner": None,
            "outcomes": [
                {"key": "approve", "title": "Approve", "approving": True},
                {"key": "deny", "title": "Deny", "approving": False},
            ],
            "reason_codes": [],
            "input_schema": {"type": "object"},
            "guidance": "",
            "queue": "refund",
            "on_invalid_input": "reject",
            "rationale": "override",
            "lease": "15m",
        }
        == known.document
    )
    assert 900 == known.lease_seconds


@pytest.mark.parametrize(
    "source", [SMALL, CENSUS, json.dumps(SMALL), SMALL | {"input_schema": {"minimum": 0.5, "é": 1}}]
)
def test_a_document_keeps_its_digest_through_json_and_back(source: Any) -> None:
    known = parse_decision_type(source)
    text = json.dumps(known.document)
    assert known.digest == parse_decision_type(known.document).digest == cached_type(text).digest
    assert cached_type(text) is cached_type(text)


def test_only_outcomes_that_say_so_approve_and_approve_does_when_none_says() -> None:
    said = parse_decision_type(SMALL | {"outcomes": [{"key": "approve"}, {"key": "pay", "approving": True}]})
    assert [False, True, False] == [said.approves(key) for key in ("approve", "pay", "gone")]
    unsaid = parse_decision_type(SMALL | {"outcomes": [{"key": "hate"}, {"key": "neither"}]})
    assert [False, False] == [unsaid.approves(key) for key in unsaid.outcome_keys]


@pytest.mark.parametrize(("change", "pointer", "words"), FAULTS)
def test_each_fault_says_where_it_is_and_what_would_be_right(change: dict[str, Any], pointer: str, words: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_decision_type(copy.deepcopy(SMALL) | change)
    found = [fault.detail for fault in refusal.value.faults if fault.pointer == pointer]
    assert ("type_invalid", 1) == (refusal.value.code, len(found))
    assert words in found[0]


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(Invalid) as refusal:
        parse_decision_type({"slug": "A", "outcomes": [{"key": "a b"}, 3], "bla": 1, "lease": "x"})
    pointers = [fault.pointer for fault in refusal.value.faults]
    assert ["/slug", "/title", "/outcomes/0/key", "/outcomes/1", "/lease", "/bla"] == pointers


@pytest.mark.parametrize(
    ("change", "pointer", "detail"),
    [
        ({"amount": 0}, "/input/amount", "must be 1 or more."),
        ({"amount": 100}, "/input/amount", "must be less than 100."),
        ({"amount": 3}, "/input/amount", "must be a multiple of 2."),
        ({"amount": "2"}, "/input/amount", "must be of type integer."),
        ({"amount": None}, "/input/amount", "must be of type integer."),
        ({"currency": "USD"}, "/input/currency", "must be EUR or GBP."),
        ({"note": 1}, "/input/note", "must be of type null or string."),
        ({"note": "a"}, "/input/note", "must have 2 characters or more."),
        ({"note": "aaaaa"}, "/input/note", "must have 4 characters or fewer."),
        ({"note": "A1"}, "/input/note", "must match the pattern ^[a-z]+$."),
        ({"tags": []}, "/input/tags", "must have 1 entries or more."),
        ({"tags": ["a", "a"]}, "/input/tags", "must not have the same entry twice."),
        ({"tags": ["a", 2]}, "/input/tags/1", "must be of type string."),
        ({"a/b~c": 2}, "/input/a~1b~0c", "must be the value that the schema names."),
        ({"none": 1}, "/input/none", "must be absent: the schema allows nothing here."),
        ({"choice": []}, "/input/choice", "must match exactly one of the schema's alternatives."),
        ({"any": []}, "/input/any", "must match at least one of the schema's alternatives."),
        ({"not": 1}, "/input/not", "must not match what the schema excludes."),
        ({"has": [2]}, "/input/has", "must have an entry that the schema asks for."),
        ({"keys": {"long": 1}}, "/input/keys", "must have keys that the schema allows."),
        ({"keys": {"a": 1, "b": 2, "c": 3}}, "/input/keys", "must have 2 keys or fewer."),
        ({"extra": 1}, "/input/extra", "is not a key that the schema allows."),
    ],
)
def test_a_mismatch_says_what_would_be_right(change: dict[str, Any], pointer: str, detail: str) -> None:
    assert {pointer: detail} == told(change)


def test_what_is_missing_is_named_by_its_own_path() -> None:
    faults = input_faults(of_schema(SCHEMA), {})
    assert (Fault("/input/amount", "is missing."), Fault("/input/currency", "is missing.")) == faults


def test_an_input_that_matches_has_no_faults() -> None:
    assert () == input_faults(of_schema(SCHEMA), {"amount": 2, "currency": "EUR", "note": None})


def test_values_are_never_echoed() -> None:
    secret = "4111-1111-1111-1111"
    change = {"amount": secret, "currency": secret, "note": secret, "tags": secret, "has": [secret], "choice": [secret]}
    assert not [detail for detail in told(change).values() if secret in detail]


def test_at_most_twenty_faults_are_told_and_pointers_stay_short() -> None:
    listed = of_schema({"type": "object", "additionalProperties": False})
    faults = input_faults(listed, {"k" * 500 + str(n): n for n in range(500)} | {f"k{n}": n for n in range(500)})
    assert len(faults) <= 20
    assert max(len(fault.pointer) for fault in faults) <= 203


def test_a_schema_that_refers_to_itself_comes_to_an_end() -> None:
    endless = of_schema({"type": "object", "properties": {"child": {"$ref": "#"}}})
    assert () == input_faults(endless, {"child": {"child": {}}})
    assert ["/input/child/child"] == [fault.pointer for fault in input_faults(endless, {"child": {"child": 1}})]


@pytest.mark.parametrize("value", [object(), b"x", {1: 2}, "\ud800", {"a": {None: 1}}, float("nan"), 10**400, {1}])
def test_a_value_that_is_no_json_is_a_fault_and_no_crash(value: Any) -> None:
    assert input_faults(of_schema({"type": "object", "maxProperties": 0}), value)


def test_a_value_too_deep_for_the_engine_is_a_fault_and_no_crash() -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}
    assert (Fault("/input", "cannot be checked against the schema."),) == input_faults(of_schema(SCHEMA), deep)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*SCHEMA["properties"], "x"]), inner),  # type: ignore[misc]
        max_leaves=10,
    )
)
def test_any_value_is_checked_and_each_fault_points_into_the_input(value: Any) -> None:
    for fault in input_faults(of_schema(SCHEMA), value):
        assert fault.pointer.startswith("/input")


def test_retention_and_legal_hold_are_read_and_change_no_digest_of_documents_without_them() -> None:
    plain = parse_decision_type(SMALL)
    assert (None, False) == (plain.retention_days, plain.legal_hold)
    assert not {"retention", "legal_hold"} & set(plain.document)
    assert plain.digest == parse_decision_type(SMALL | {"legal_hold": False}).digest
    kept = parse_decision_type(SMALL | {"retention": {"days": 183}, "legal_hold": True})
    assert (183, True) == (kept.retention_days, kept.legal_hold)
    assert kept.digest == parse_decision_type(kept.document).digest != plain.digest
