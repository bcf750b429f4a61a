"""Strict JSON in, canonical bytes out."""

import base64
import json
import math
import re
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.canonical import MAX_BODY, MAX_INTEGER, canonical, digest, dumps, is_json_like, parse_strict
from app.domain.errors import Malformed

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors" / "jcs_rfc8785.json"
OF_EDITORS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | st.text(OF_EDITORS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(OF_EDITORS), inner, max_size=4),
    max_leaves=20,
)

REFUSED = [
    (b"", "json_syntax"),
    (b" ", "json_syntax"),
    (b"{", "json_syntax"),
    (b"{'a': 1}", "json_syntax"),
    (b'{"a": 1,}', "json_syntax"),
    (b"[1 2]", "json_syntax"),
    (b"01", "json_syntax"),
    (b"+1", "json_syntax"),
    (b".5", "json_syntax"),
    (b"1.", "json_syntax"),
    (b"0x10", "json_syntax"),
    (b"True", "json_syntax"),
    (b"nul", "json_syntax"),
    (b'"a\nb"', "json_syntax"),
    (b'"\x00"', "json_syntax"),
    (b'"\\x"', "json_syntax"),
    (b'"\\u12"', "json_syntax"),
    (b"{} {}", "json_syntax"),
    (b"// a\n1", "json_syntax"),
    (b'{1: "a"}', "json_syntax"),
    ("١".encode(), "json_syntax"),
    ("\u00a01".encode(), "json_syntax"),
    (b'{"a": 1, "a": 1}', "json_duplicate_key"),
    (b'[{"b": {"a": 1, "\\u0061": 2}}]', "json_duplicate_key"),
    (b"NaN", "json_not_a_number"),
    (b"[Infinity]", "json_not_a_number"),
    (b"-Infinity", "json_not_a_number"),
    (b"1e400", "json_not_a_number"),
    (b"-1e400", "json_not_a_number"),
    (b"1" * 400 + b".0", "json_not_a_number"),
    (b"\xef\xbb\xbf{}", "json_encoding"),
    ('{"a": 1}'.encode("utf-16"), "json_encoding"),
    ('"\u4e00\u8001"'.encode("utf-16-le"), "json_encoding"),
    ('{"a": 1}'.encode("utf-32"), "json_encoding"),
    (b'"\xff"', "json_encoding"),
    (b'"\xc0\x80"', "json_encoding"),
    (b'"\xed\xa0\x80"', "json_encoding"),
    (b'"\\ud800"', "json_surrogate"),
    (b'{"\\udc00": 1}', "json_surrogate"),
    (b'"\\ud83d\\ud83d"', "json_surrogate"),
    (b'["a", {"b": "\\u0000"}]', "json_nul"),
    (b'{"a\\u0000": 1}', "json_nul"),
    (b"[" * 33 + b"]" * 33, "json_depth"),
    (b'{"a":' * 33 + b"1" + b"}" * 33, "json_depth"),
    (b"[" * 100_000, "json_depth"),
    (b'"' + b"a" * MAX_BODY + b'"', "json_too_large"),
    (b"9007199254740992", "json_integer_range"),
    (b"-9007199254740992", "json_integer_range"),
    (b"9" * 100_000, "json_integer_range"),
]
TAKEN: list[tuple[bytes, Any]] = [
    (b"{}", {}),
    (b" [1, 2.5, -0.0, 1e3, 1e-400] ", [1, 2.5, -0.0, 1000.0, 0.0]),
    (b"9007199254740991", MAX_INTEGER),
    (b"-9007199254740991", -MAX_INTEGER),
    (b"null", None),
    (b'"\\ud83d\\ude00"', "😀"),
    ('"é\u007f\u2028"'.encode(), "é\u007f\u2028"),
    (b'"\\\\u0000"', "\\u0000"),
    (b"[" * 32 + b"]" * 32, eval("[" * 32 + "]" * 32)),
    (b"[" + b",".join([b"[]"] * 500) + b"]", [[]] * 500),
    (b'["' + b"[" * 100 + b'", "\\"' + b"{" * 100 + b'"]', ["[" * 100, '"' + "{" * 100]),
    (b'"' + b"a" * (MAX_BODY - 2) + b'"', "a" * (MAX_BODY - 2)),
]


@pytest.mark.parametrize(("raw", "code"), REFUSED, ids=lambda part: repr(part[:24]))
def test_what_is_not_strict_json_is_refused_with_its_code(raw: bytes, code: str) -> None:
    with pytest.raises(Malformed) as refusal:
        parse_strict(raw)
    assert code == refusal.value.code


@pytest.mark.parametrize(("raw", "value"), TAKEN, ids=lambda part: repr(part)[:24])
def test_strict_json_is_taken(raw: bytes, value: Any) -> None:
    assert value == parse_strict(raw)


def test_a_refusal_echoes_nothing_of_the_body() -> None:
    for raw, _ in REFUSED:
        with pytest.raises(Malformed) as refusal:
            parse_strict(b'{"secret": ' + raw)
        assert "secret" not in refusal.value.detail


def test_hostile_nesting_costs_no_more_than_reading_it() -> None:
    for raw in (b'"' + b'\\"' * 500_000, b'{"a":1,' * 100_000, b'[{"a":"' + b"\\\\" * 400_000):
        with pytest.raises(Malformed):
            parse_strict(raw)


def reference(raw: bytes) -> Any:
    """A slow strict reader: the standard one, with every rule checked afterwards on the whole tree."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    def sound(value: Any, depth: int) -> bool:
        if isinstance(value, dict):
            return depth <= 32 and all(sound(key, depth) and sound(item, depth + 1) for key, item in value.items())
        if isinstance(value, list):
            return depth <= 32 and all(sound(item, depth + 1) for item in value)
        if isinstance(value, str):
            return not re.search("[\0\ud800-\udfff]", value)
        if isinstance(value, float):
            return math.isfinite(value)
        return value is None or -MAX_INTEGER <= value <= MAX_INTEGER

    text = raw.decode("utf-8", "strict")
    assert not text.startswith("\ufeff")
    value = json.loads(text, object_pairs_hook=unique)
    assert sound(value, 1)
    return value


@given(
    st.lists(
        st.sampled_from(
            [*'[]{},:"0123456789-+.eE \t\nu\\abf', "\\u0000", "\\ud800", "\\udc00", "true", "null", "NaN", '"a":', '"']
        ),
        max_size=30,
    ).map(lambda parts: "".join(parts).encode())
    | st.binary(max_size=20)
    | PLAIN.map(lambda value: json.dumps(value).encode())
)
def test_parse_strict_accepts_exactly_what_the_reference_accepts(raw: bytes) -> None:
    try:
        expected = ("taken", reference(raw))
    except (ValueError, AssertionError):
        expected = ("refused", None)
    try:
        actual = ("taken", parse_strict(raw))
    except Malformed:
        actual = ("refused", None)
    assert expected == actual


@given(PLAIN)
def test_canonical_bytes_read_back_as_the_same_value_and_are_stable(value: Any) -> None:
    raw = canonical(value)
    assert value == json.loads(raw)
    assert raw == canonical(json.loads(raw))


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        ({"b": 1, "a": [True, False, None]}, b'{"a":[true,false,null],"b":1}'),
        ((1, "é"), '[1,"é"]'.encode()),
        ('\x00\x1f\b\t\n\f\r"\\/\x7f', b'"\\u0000\\u001f\\b\\t\\n\\f\\r\\"\\\\/\x7f"'),
        ({"\ufb33": 1, "\U0001f602": 2}, '{"\U0001f602":2,"\ufb33":1}'.encode()),
        (-MAX_INTEGER, b"-9007199254740991"),
        ({}, b"{}"),
    ],
)
def test_canonical_bytes_are_those_of_rfc_8785(value: Any, raw: bytes) -> None:
    assert raw == canonical(value)


@pytest.mark.parametrize("value", [1.5, [0.0], {1: 2}, {None: 1}, 2**53, -(2**53), b"a", object(), {"a": {1, 2}}])
def test_what_has_no_canonical_form_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical(value)


def test_half_a_surrogate_pair_has_no_canonical_form() -> None:
    with pytest.raises(ValueError, match="surrogates not allowed"):
        canonical("\ud800")


@pytest.mark.skipif(not VECTORS.exists(), reason="published vectors not present")
def test_canonical_bytes_equal_the_published_vectors_without_fractions() -> None:
    equal, with_floats = 0, 0
    for case in json.loads(VECTORS.read_text())["cases"]:
        value = parse_strict(base64.b64decode(case["input_base64"]))
        try:
            raw = canonical(value)
        except TypeError:
            with_floats += 1
            continue
        assert base64.b64decode(case["output_base64"]) == raw, case["name"]
        equal += 1
    assert (4, 2) == (equal, with_floats)


@pytest.mark.skipif(not VECTORS.exists(), reason="published vectors not present")
def test_the_published_numbers_are_fractions_here_and_have_no_canonical_form() -> None:
    for bits, _ in json.loads(VECTORS.read_text())["es6_numbers"]:
        with pytest.raises(TypeError):
            canonical(struct.unpack(">d", bytes.fromhex(bits.zfill(16)))[0])


def test_stored_json_keeps_order_and_text_and_refuses_nan() -> None:
    assert '{"b":0.1,"a":"é"}' == dumps({"b": 0.1, "a": "é"})
    with pytest.raises(ValueError, match="not JSON compliant"):
        dumps(float("nan"))


def test_a_digest_names_its_algorithm() -> None:
    assert "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" == digest(b"")


def test_deep_values_are_told_apart_before_native_code_sees_them() -> None:
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    assert (True, False, False) == (is_json_like({"a": [1, "b"]}), is_json_like(deep), is_json_like(object()))
