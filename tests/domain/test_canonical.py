"""What the strict door and the canonical bytes promise."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.canonical import canonical, parse_strict
from app.domain.errors import Malformed

CLEAN = st.text(alphabet=st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=10)
ALLOWED = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | CLEAN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(CLEAN, inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"{", b"{}x", b'{"a":1,"a":2}', b'{"a":{"b":1,"b":1}}', b"NaN", b"[Infinity]", b"[-Infinity]", b"[1e400]",
        b'["\\ud800"]', b'["\\u0000"]', b'{"\\u0000":1}', b"[9007199254740992]", b"[-9007199254740992]",
        b"[" * 33 + b"]" * 33, b"[" * 100_000, b'"' + b"a" * 1_048_576 + b'"', '{"a":1}'.encode("utf-16"),
        b"\xef\xbb\xbf{}", b'["\xff"]', b"[01]", b"{'a':1}", b"[1,]", b"// c\n{}", b'["\t"]',
    ],
)  # fmt: skip
def test_what_is_not_strict_json_is_refused_and_not_echoed(raw: bytes) -> None:
    with pytest.raises(Malformed) as refusal:
        parse_strict(raw)
    assert refusal.value.code.startswith("json_")


@given(ALLOWED)
def test_what_is_strict_json_is_read_as_it_was_written(value: object) -> None:
    assert value == parse_strict(json.dumps(value).encode())


def test_thirty_two_levels_are_deep_enough() -> None:
    assert parse_strict(b"[" * 32 + b"]" * 32)


def test_canonical_bytes_are_sorted_and_hold_no_floats() -> None:
    assert b'{"a":[1,null,true],"b":"\xc3\xa9\\n"}' == canonical({"b": "é\n", "a": [1, None, True]})
    with pytest.raises(TypeError):
        canonical({"a": 0.5})
