"""Owns JSON in and JSON out: strict parsing of what arrives, canonical bytes (RFC 8785) of what is hashed.

Must not know what the values mean, nor echo any of them in an error.
"""

import hashlib
import json
import marshal
import re
from collections.abc import Callable, Iterable, Mapping
from json.encoder import encode_basestring  # the C quoting; its escapes are those of RFC 8785
from typing import Any, Final, NoReturn

import msgspec

from app.domain.errors import Malformed

MAX_BODY: Final = 1_048_576
MAX_DEPTH: Final = 32
MAX_INTEGER: Final = 2**53 - 1

_BOMS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


def parse_strict(raw: bytes) -> Any:
    """Parse strict JSON (RFC 8259 and RFC 7493, I-JSON): UTF-8 alone, unique keys, numbers that doubles can hold.

    Raises Malformed with code json_too_large, json_encoding, json_depth, json_syntax, json_duplicate_key,
    json_not_a_number, json_integer_range, json_nul or json_surrogate.
    """
    text = _text(raw)
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH:
        _check_depth(text)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        _refuse("json_syntax", f"The body is not JSON at line {error.lineno}, column {error.colno}.")
    except RecursionError:
        _refuse("json_depth", _DEPTH)
    if b"\\u" in raw:
        _check_strings(value)
    return value


def canonical(value: Any) -> bytes:
    """The bytes of RFC 8785 (JCS) for dicts with str keys, lists, tuples, str, int within 2^53-1, bool and None.

    Raises TypeError for all else (fractions travel as strings) and ValueError for a lone surrogate.
    """
    return _write(value).encode()


def canonical_text(value: Any) -> str:
    """`canonical` before it is encoded, for who puts it together from parts. Raises like it, save for surrogates."""
    return _write(value)


def dumps(value: Any) -> str:
    """Compact JSON for storage, keys in their order; raises ValueError for NaN and infinities."""
    return _STORED.encode(value)


def packed(value: Any) -> bytes:
    """Compact JSON bytes of values that `parse_strict` gave or that our code made, keys in their order."""
    return _PACKED.encode(value)


def sorted_bytes(value: Any) -> bytes:
    """Like `packed`, with the keys of every object in order: equal for equal values, for fingerprints."""
    return _SORTED.encode(value)


def digest(raw: bytes) -> str:
    """`sha256:` and 64 hex digits."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()


def is_json_like(value: Any) -> bool:
    """Whether `value` is built of plain values and nested under 2,000 deep: native code may safely recurse into it.

    Deeper ones would overflow the stack of the CEL and JSON Schema engines, and no `except` catches that.
    """
    try:
        marshal.dumps(value, 1)
    except ValueError:
        return False
    return True


_PACKED: Final = msgspec.json.Encoder()
_SORTED: Final = msgspec.json.Encoder(order="sorted")
_STORED: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_DEPTH: Final = f"The body is nested more than {MAX_DEPTH} deep."


def _refuse(code: str, detail: str) -> NoReturn:
    raise Malformed(detail, code=code)


def _text(raw: bytes) -> str:
    if len(raw) > MAX_BODY:
        _refuse("json_too_large", f"The body is larger than {MAX_BODY:,} bytes.")
    if raw.startswith(_BOMS):
        _refuse("json_encoding", "The body must be UTF-8 without a byte order mark.")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        _refuse("json_encoding", f"The body must be UTF-8; byte {error.start} is not.")


def _check_depth(text: str) -> None:
    """Refuse deep nesting before the recursive scanner sees it; brackets inside strings do not count."""
    depth = 0
    for found in _TOKENS.finditer(text):
        first = found[0][0]
        if first in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                _refuse("json_depth", _DEPTH)
        elif first in "]}":
            depth -= 1


_TOKENS: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        _refuse("json_duplicate_key", "An object in the body has the same key twice.")
    return value


def _integer(digits: str) -> int:
    if len(digits) <= 15:
        return int(digits)
    if len(digits) > 17 or abs(int(digits)) > MAX_INTEGER:
        _refuse("json_integer_range", "Whole numbers must be within 2^53-1; send larger ones as text.")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if value in _INFINITE:
        _refuse("json_not_a_number", "A number in the body is too large for a double.")
    return value


def _constant(_: str) -> NoReturn:
    _refuse("json_not_a_number", "NaN and Infinity are not JSON numbers.")


_INFINITE: Final = (float("inf"), float("-inf"))
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


def _check_strings(value: Any) -> None:
    for text in _strings(value):
        if "\0" in text:
            _refuse("json_nul", "U+0000 may not be part of a string or key.")
        if _SURROGATE.search(text):
            _refuse("json_surrogate", "A string or key has half of a surrogate pair.")


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _write(value: Any) -> str:
    write = _WRITERS.get(type(value))
    if write is None:
        raise TypeError(f"{type(value).__name__} has no canonical form here")
    return write(value)


def _write_int(value: int) -> str:
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise TypeError("an integer beyond 2^53-1 has no canonical form")
    return str(value)


def _write_dict(value: Mapping[Any, Any]) -> str:
    # The commonest kind of value is written here: an event has some forty, and each call costs.
    quote = encode_basestring
    return "{" + ",".join([
        f"{quote(key)}:{quote(item) if type(item := value[key]) is str else _write(item)}" for key in _ordered(value)
    ]) + "}"  # fmt: skip


def _ordered(keys: Mapping[Any, Any]) -> list[Any]:
    """RFC 8785 3.2.3: by UTF-16 code units, which for ASCII is the order of str."""
    try:
        plain = "".join(keys).isascii()
    except TypeError:
        raise TypeError("a key that is not text has no canonical form") from None
    return sorted(keys) if plain else sorted(keys, key=lambda key: key.encode("utf-16-be"))


def _write_list(value: Iterable[Any]) -> str:
    return "[" + ",".join([_write(item) for item in value]) + "]"


_WRITERS: Final[dict[type, Callable[[Any], str]]] = {
    str: encode_basestring,
    int: _write_int,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
    dict: _write_dict,
    list: _write_list,
    tuple: _write_list,
}
