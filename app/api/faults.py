"""Owns turning pydantic's errors into pointers and plain sentences. Must not let a value through."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from app.domain.documents import escape
from app.domain.errors import Fault

MAX_FAULTS: Final = 50
LONGEST_KEY: Final = 64

# The placeholders are filled from our own schema (pydantic's `ctx`), never from the input.
SENTENCES: Final[Mapping[str, str]] = {
    "missing": "is missing.",
    "extra_forbidden": "is not a key that is known here.",
    "string_type": "must be text.",
    "string_too_short": "must not be empty.",
    "string_too_long": "must have at most {max_length} characters.",
    "string_pattern_mismatch": "does not have the form that is needed here.",
    "float_type": "must be a number.",
    "int_type": "must be a whole number.",
    "int_parsing": "must be a whole number.",
    "int_parsing_size": "must be a whole number.",
    "int_from_float": "must be a whole number.",
    "greater_than_equal": "must be {ge} or more.",
    "less_than_equal": "must be {le} or less.",
    "bool_type": "must be true or false.",
    "bool_parsing": "must be true or false.",
    "dict_type": "must be an object.",
    "model_type": "must be an object.",
    "model_attributes_type": "must be an object.",
    "list_type": "must be a list.",
    "too_short": "must have at least {min_length} items.",
    "too_long": "must have at most {max_length} items.",
    "literal_error": "must be one of {expected}.",
    "enum": "must be one of {expected}.",
    "value_error": "{error}",
}


def faults_of(found: Iterable[Mapping[str, Any]]) -> tuple[Fault, ...]:
    """One fault per place, at most 50: where (under /query, /path or in the body) and what would be right."""
    faults = {_pointer(one): _sentence(one) for one in found}
    return tuple(Fault(pointer, detail) for pointer, detail in list(faults.items())[:MAX_FAULTS])


def _pointer(one: Mapping[str, Any]) -> str:
    tokens = [str(token) for token in one["loc"]]
    # A key that somebody made up is named by its place alone when it is long.
    if any(len(token) > LONGEST_KEY for token in tokens):
        tokens = tokens[: next(i for i, token in enumerate(tokens) if len(token) > LONGEST_KEY)]
    return "".join(f"/{escape(token)}" for token in tokens)


def _sentence(one: Mapping[str, Any]) -> str:
    return SENTENCES.get(one["type"], "is not acceptable here.").format_map(one.get("ctx") or {})
