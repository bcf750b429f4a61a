"""Owns the table of bad submissions: name, bytes, headers, and what each one gets (status, code, pointer or None)."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.factories import submission

JSON = "application/json"


class Bad(NamedTuple):
    name: str
    raw: bytes
    status: int
    code: str
    pointer: str | None = None
    media_type: str = JSON


def good() -> bytes:
    return json.dumps(submission()).encode()


def table() -> list[Bad]:
    """Every bad submission; names are unique."""
    return [*_bytes(), *_numbers(), *_strings(), *_shapes(), *_values(), *_media_types()]


def _bytes() -> Iterator[Bad]:
    for name, raw in {
        "empty": b"", "blank": b"  ", "a word": b"hello", "half": good()[:-1], "two": good() * 2, "comma": b'{"a":1,}',
        "comment": b"{/* */}", "single quotes": b"{'a':1}", "bare key": b"{a:1}", "plus": b'{"a":+1}',
        "leading zero": b'{"a":01}', "dot": b'{"a":1.}', "hex": b'{"a":0x1}', "bare nul": b'{"a":"\x00"}',
        "bare newline": b'{"a":"\n"}', "bad escape": b'{"a":"\\x"}', "short escape": b'{"a":"\\u12"}',
        "form": b"a=1&b=2", "xml": b"<a/>", "True": b'{"a":True}', "undefined": b'{"a":undefined}',
        "only bracket": b"[", "closed twice": b"{}}",
    }.items():  # fmt: skip
        yield Bad(f"syntax: {name}", raw, 400, "json_syntax")
    for name, raw in {
        "utf-16": good().decode().encode("utf-16"), "utf-16-le": "é{}".encode("utf-16-le"),
        "bom": b"\xef\xbb\xbf" + good(), "latin-1": '{"a":"é"}'.encode("latin-1"),
        "surrogate bytes": b'{"a":"\xed\xa0\x80"}', "overlong": b'{"a":"\xc0\xaf"}', "cut": b'{"a":"\xe2\x82"}',
        "too high": b'{"a":"\xf5\x80\x80\x80"}', "stray": b'{"a":"\x80"}',
    }.items():  # fmt: skip
        yield Bad(f"encoding: {name}", raw, 400, "json_encoding")
    deep = b'{"input":' + b"[" * 32 + b"]" * 32 + b"}"
    for name, raw in {
        "33": deep, "arrays": b"[" * 33 + b"]" * 33, "10,000": b"[" * 10_000, "objects": b'{"a":' * 40 + b"1" + b"}" * 40,  # noqa: E501
        "100,000 mixed": b'[{"a":' * 100_000,
    }.items():  # fmt: skip
        yield Bad(f"depth: {name}", raw, 400, "json_depth")
    for name, size in {"one more": 1_048_577, "2 MiB": 2 * 1_048_576}.items():
        yield Bad(f"size: {name}", b'{"a":"' + b"x" * (size - 8) + b'"}', 413, "json_too_large")


def _numbers() -> Iterator[Bad]:
    for text in ("NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" + "0" * 400 + ".5"):
        for place in ("confidence", "input"):
            yield Bad(f"number: {text[:12]} in {place}", _with_number(place, text), 400, "json_not_a_number")
    for text in ("9007199254740992", "-9007199254740992", "1" + "0" * 100, "1" + "0" * 5_000):
        for place in ("confidence", "input"):
            name = f"integer: {len(text)} {text[:2]} in {place}"
            yield Bad(name, _with_number(place, text), 400, "json_integer_range")


def _with_number(place: str, text: str) -> bytes:
    body = submission(confidence="@") if place == "confidence" else submission(amount_cents="@")
    return json.dumps(body).replace('"@"', text).encode()


def _strings() -> Iterator[Bad]:
    places = ("decision_type", "external_id", "subject", "stakes")
    for place in places:
        for name, escape, code in (
            ("nul", "\\u0000", "json_nul"), ("high", "\\ud800", "json_surrogate"), ("low", "\\udfff", "json_surrogate"),
            ("swapped", "\\udc00\\ud800", "json_surrogate"),
        ):  # fmt: skip
            raw = json.dumps(submission(**{place: "@@"})).replace("@@", escape).encode()
            yield Bad(f"{name} in {place}", raw, 400, code)
    for name, escape, code in (("nul", "\\u0000", "json_nul"), ("surrogate", "\\ud9ff", "json_surrogate")):
        for shape in ({"@@": 1}, {"a": "@@"}, {"a": ["@@"]}, {"a": {"b": {"@@": []}}}):
            for place in ("input", "metadata"):
                raw = json.dumps(submission(**{place: {"amount_cents": 1, **shape}})).replace("@@", escape).encode()
                yield Bad(f"{name} in {place} {json.dumps(shape)}", raw, 400, code)
    for name, raw in {
        "top": good()[:-1] + b',"input":{}}', "escaped": good()[:-1] + b',"in\\u0070ut":{}}',
        "inner": good().replace(b'"amount_cents"', b'"amount_cents":1,"amount_cents"'),
        "same value": good()[:-1] + b',"decision_type":"refund"}',
    }.items():  # fmt: skip
        yield Bad(f"duplicate key: {name}", raw, 400, "json_duplicate_key")


WRONG: dict[str, Any] = {
    "null": None,
    "true": True,
    "number": 7,
    "fraction": 0.5,
    "text": "x",
    "list": [],
    "object": {},
}


def _shapes() -> Iterator[Bad]:
    for name, value in WRONG.items():
        if name != "object":
            yield Bad(f"the whole is {name}", json.dumps(value).encode(), 422, "invalid", "")
    fits = {
        "decision_type": {"text"}, "external_id": {"text", "null"}, "subject": {"text", "null"},
        "stakes": {"text", "null"}, "model": set(), "proposal": set(), "input": {"object"}, "metadata": {"object"},
        "model/name": {"text"}, "model/version": {"text", "null"}, "proposal/outcome": {"text"},
        "proposal/confidence": {"null", "fraction", "number"}, "proposal/scores": {"null", "object"},
        "proposal/explanation": {"null", "text"}, "proposal/arguments": {"null", "object"},
    }  # fmt: skip
    for place, fine in fits.items():
        for name, value in WRONG.items():
            if name not in fine and not (place in ("model", "proposal") and name == "object"):
                yield Bad(f"{place} is {name}", _set(place, value), 422, "invalid", f"/{place}")
    for place in ("decision_type", "model", "proposal", "input", "model/name", "proposal/outcome"):
        yield Bad(f"{place} is missing", _set(place, ...), 422, "invalid", f"/{place}")
    for place in ("extra", "model/extra", "proposal/extra", "proposal/a~b", "Decision_type", "id", "tier", "status"):
        pointer = "/" + place.replace("~", "~0")
        yield Bad(f"{place} is unknown", _set(place, 1), 422, "invalid", pointer)
    yield Bad("a long unknown key", _set("k" * 500, 1), 422, "invalid", "")


def _values() -> Iterator[Bad]:
    for value in (-0.0001, 1.0001, -1, 2, 1e300, -1e300, 100, 83):
        yield Bad(f"confidence {value}", _set("proposal/confidence", value), 422, "invalid", "/proposal/confidence")
    for value in (True, False, "0.83", "1", [], {}, [0.83]):
        yield Bad(
            f"confidence is {value!r}", _set("proposal/confidence", value), 422, "invalid", "/proposal/confidence"
        )
    for value in (-0.1, 1.1, "1", None, True):
        place = "proposal/scores"
        yield Bad(f"score {value!r}", _set(place, {"approve": value}), 422, "invalid", f"/{place}/approve")
    for place in (
        "decision_type", "external_id", "subject", "stakes", "model/name", "model/version", "proposal/outcome",
    ):  # fmt: skip
        yield Bad(f"{place} is empty", _set(place, ""), 422, "invalid", f"/{place}")
        yield Bad(f"{place} is long", _set(place, "x" * 201), 422, "invalid", f"/{place}")
    yield Bad(
        "explanation is long", _set("proposal/explanation", "x" * 20_001), 422, "invalid", "/proposal/explanation"
    )
    for value in ("nope", "Refund", "refund ", "../refund", "'; DROP TABLE decision; --", "ﬁ", "\u202erefund"):
        yield Bad(f"type {value!r}", _set("decision_type", value), 422, "unknown_type", "/decision_type")
    yield Bad("an archived type", _set("decision_type", "archived"), 422, "archived_type", "/decision_type")
    for value in ("nope", "Approve", "approve ", "0", "<script>", "null"):
        yield Bad(f"outcome {value!r}", _set("proposal/outcome", value), 422, "unknown_outcome", "/proposal/outcome")
    for name, value, pointer in (
        ("empty", {}, "/input/amount_cents"), ("text", {"amount_cents": "1"}, "/input/amount_cents"),
        ("negative", {"amount_cents": -1}, "/input/amount_cents"), ("half", {"amount_cents": 1.5}, "/input/amount_cents"),  # noqa: E501
        ("null", {"amount_cents": None}, "/input/amount_cents"), ("true", {"amount_cents": True}, "/input/amount_cents"),  # noqa: E501
        ("customer", {"amount_cents": 1, "customer": []}, "/input/customer"),
        ("vip", {"amount_cents": 1, "customer": {"vip": "yes"}}, "/input/customer/vip"),
    ):  # fmt: skip
        yield Bad(f"input {name}", _set("input", value), 422, "invalid_input", pointer)


def _media_types() -> Iterator[Bad]:
    for media_type in (
        "", "text/plain", "text/json", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data",
        "application/jsonx", "application/problem+json", "json", "application/x-ndjson", "*/*", ";", "\xe9",
    ):  # fmt: skip
        name = f"media type {media_type!a}"
        yield Bad(name, good(), 415, "unsupported_media_type", None, media_type)


def _set(place: str, value: Any) -> bytes:
    body = submission()
    *path, last = place.split("/")
    inner = body
    for step in path:
        inner = inner[step]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return json.dumps(body).encode()
