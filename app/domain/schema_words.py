"""Owns the sentences for an input that does not match its schema: what would be right, never what was sent.

Must not run the schema: `decision_type` does.
"""

from collections.abc import Iterator
from typing import Any, Final

from app.domain.documents import escape, listed
from app.domain.errors import Fault

_LONGEST_POINTER: Final = 200
_MOST_OPTIONS: Final = 8
_WITH_LIMIT: Final = {
    "minimum": "must be {} or more.",
    "maximum": "must be {} or less.",
    "exclusiveMinimum": "must be more than {}.",
    "exclusiveMaximum": "must be less than {}.",
    "multipleOf": "must be a multiple of {}.",
    "minLength": "must have {} characters or more.",
    "maxLength": "must have {} characters or fewer.",
    "minItems": "must have {} entries or more.",
    "maxItems": "must have {} entries or fewer.",
    "minProperties": "must have {} keys or more.",
    "maxProperties": "must have {} keys or fewer.",
    "format": "must have the format {}.",
    "pattern": "must match the pattern {}.",
    "contentEncoding": "must be encoded as {}.",
    "contentMediaType": "must be of the media type {}.",
}
_PLAIN: Final = {
    "anyOf": "must match at least one of the schema's alternatives.",
    "oneOf": "must match exactly one of the schema's alternatives.",
    "const": "must be the value that the schema names.",
    "contains": "must have an entry that the schema asks for.",
    "falseSchema": "must be absent: the schema allows nothing here.",
    "not": "must not match what the schema excludes.",
    "propertyNames": "must have keys that the schema allows.",
    "uniqueItems": "must not have the same entry twice.",
    "additionalItems": "has more entries than the schema allows.",
    "unevaluatedItems": "has more entries than the schema allows.",
}
_UNKNOWN_KEYS: Final = ("additionalProperties", "unevaluatedProperties")


def schema_faults(error: Any) -> Iterator[Fault]:
    """The faults (pointers under /input) of one jsonschema_rs.ValidationError."""
    keyword, value = str(error.kind.name), error.kind.value
    steps = [str(step) for step in error.instance_path]
    if keyword == "required":
        yield _fault([*steps, str(error.kind.property)], "is missing.")
    elif keyword in _UNKNOWN_KEYS:
        for key in error.kind.unexpected:
            yield _fault([*steps, str(key)], "is not a key that the schema allows.")
    else:
        yield _fault(steps, _sentence(keyword, value))


def _fault(steps: list[str], detail: str) -> Fault:
    pointer = "/input" + "".join(f"/{escape(step)}" for step in steps)
    return Fault(pointer if len(pointer) <= _LONGEST_POINTER else pointer[:_LONGEST_POINTER] + "...", detail)


def _sentence(keyword: str, value: Any) -> str:
    if keyword in _WITH_LIMIT:
        return _WITH_LIMIT[keyword].format(value)
    if keyword == "type":
        return f"must be of type {listed(sorted(map(str, value)), 'or')}."
    if keyword == "enum":
        return _options(value)
    return _PLAIN.get(keyword, "does not match the schema.")


def _options(options: Any) -> str:
    if 0 < len(options) <= _MOST_OPTIONS and all(isinstance(option, str | int | float) for option in options):
        return f"must be {listed([str(option) for option in options], 'or')}."
    return "must be one of the values that the schema lists."
