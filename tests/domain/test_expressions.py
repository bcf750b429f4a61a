"""Expressions: what is refused when a policy is saved, and that evaluation never raises."""

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.expressions import Scope, Unacceptable, compile_expression, quotes_proposal

INPUT = {"amount": 3, "name": "x", "list": [1, 2], "price": 1.5, "none": None, "customer": {"vip": True}}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def holds(text: str, **variables: Any) -> bool | None:
    scope = {"input": INPUT, "proposal": {"outcome": "deny"}, "model": {"name": "m"}, "metadata": {}} | variables
    return Scope(scope).holds(compile_expression(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("input.amount > 2", True),
        ("input.amount > 2.5 && input.price < 2", True),
        ("input['amount'] in [1, 2]", False),
        ("input.customer.vip", True),
        ("has(input.customer) && !has(input.missing)", True),
        ("proposal.outcome == 'deny' && model.name == \"m\"", True),
        ("input.list.exists(x, x > 1)", True),
        ("input.list.all(x, input.list.exists(y, y >= x))", True),
        ("input.list.map(x, x * 2).filter(x, x > 2).size() == 1", True),
        ("input.name.matches('^[a-z]$') // a comment: foo(", True),
        ('input.name.startsWith("y") ? false : true', True),
        ("input.none == null", True),
        ("metadata == {}", True),
        ("r'\\d(' == '\\\\d('", True),
        ("'''it's''' == \"it's\"", True),
        ("timestamp('2026-01-02T03:04:05Z').getHours() == 3", True),
        ("input.amount == 0x3", True),
        ("input.name in {'x': 1}", True),
    ],
)
def test_an_expression_says_true_or_false(text: str, expected: bool) -> None:
    assert expected is holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "input.missing > 1",
        "input.name > 1",
        "input.amount / 0 == 1",
        "9223372036854775807 + input.amount > 0",
        "[1][input.amount] == 1",
        "input.amount",
        "input.name",
        "null",
        "input.name.matches('(')",
        "int(input.name) == 1",
        "input.customer.vip.deeper",
        "input.none.deeper == 1",
        "timestamp(input.name) > timestamp('2026-01-01T00:00:00Z')",
    ],
)
def test_an_expression_that_fails_or_is_no_boolean_says_nothing(text: str) -> None:
    assert holds(text) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "cannot be read"),
        ("input.", "cannot be read"),
        ("input.amount >", "cannot be read"),
        ("'open", "at character 1"),
        ("input.amount # 3", "at character 14"),
        ("input.`a`", "at character 7"),
        ("(" * 900 + "1" + ")" * 900, "cannot be read"),
        ("[" * 1999, "cannot be read"),
        ("true?" * 300, "cannot be read"),
        ("a" * 2001, "2,000 characters"),
        ("amount > 1", "`amount` is no name here; the names are input, metadata, model, proposal."),
        ("input.amount > limit", "`limit` is no name"),
        (".input.amount > 1", "is no name"),
        ("x > 1 || input.list.exists(x, x > 1)", "`x` is no name"),
        ("input.list.exists(x, x > 1) || x > 1", "`x` is no name"),
        ("type(input) == int", "`type` is no function"),
        ("int == input", "`int` is no name"),
        ("now() > 1", "`now` is no function"),
        ("input.evil()", "`evil` is no function"),
        ("input._evil()", "`_evil` is no function"),
        ("__import__('os') == 1", "`__import__` is no function"),
        ("cel.bind(x, 1, x > 0)", "is no"),
        ("optional.none() == 1", "is no"),
        ("input.list.exists(i, v, v > 1)", "is no"),
        ("Message{a: 1}.a == 1", "is no name"),
        ("input{a: 1}.a == 1", "Messages"),
        ("input.list.map(a, input.list.map(b, input.list.map(c, c))) == []", "nested 2 deep"),
        ("input.list . map\n(a, [1].map // (\n(b, [1].filter (c, c > 1))) == []", "nested 2 deep"),
        ("[1]" + ".map(x, x + x)" * 5 + " == []", "4 comprehensions"),
    ],
)
def test_what_could_never_work_or_never_end_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(Unacceptable) as refusal:
        compile_expression(text)
    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    "text", ["'.map(a, .map(b, .map(c' == ''", 'r"\\".size() > 0 // .map(a, [].map(b, [].map(c, c)))']
)
def test_text_and_comments_are_not_taken_for_code(text: str) -> None:
    assert 0 == compile_expression(text).nested


def test_only_an_expression_that_reads_the_proposal_quotes_it() -> None:
    texts = ("proposal.confidence > 0.5", "input.proposal == 1", "'proposal' == input.name")
    assert [True, False, False] == [quotes_proposal(compile_expression(text)) for text in texts]


def test_nested_comprehensions_over_a_long_list_say_nothing_instead_of_running_for_hours() -> None:
    text = "input.all(x, input.all(y, y >= 0))"
    assert (True, None) == (holds(text, input=[1] * 100), holds(text, input=[1] * 100_000))


def test_a_value_too_deep_for_the_engine_says_nothing() -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"a": deep}
    assert holds("has(input.a)", input=deep) is None


def test_a_compiled_expression_serves_every_thread() -> None:
    expression = compile_expression("input.amount > 2")
    scope = Scope({"input": INPUT})
    answers = [scope.holds(expression)]
    thread = threading.Thread(target=lambda: answers.append(scope.holds(expression)))
    thread.start()
    thread.join()
    assert [True, True] == answers


@given(ANYTHING, ANYTHING)
def test_evaluation_never_raises(value: Any, proposal: Any) -> None:
    for text in ("input.a.b > 1", "input > proposal", "input.exists(x, x == proposal)", "size(input) > 0", "input"):
        assert holds(text, input=value, proposal=proposal) in (True, False, None)


@given(st.text(max_size=60) | st.text("().[]{}'\"?:!-+ aminputxl1,\\/=<>&|", max_size=60))
def test_any_text_compiles_or_is_refused(text: str) -> None:
    try:
        outcome = compile_expression(text).text
    except Unacceptable as refusal:
        outcome = str(refusal)
    assert outcome is not None
