"""Owns SQL that the two databases spell differently: JSON text, times and fractions as Python writes them, joined rows.

Every spelling gives the same characters on both; tests hold them against Python's.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class Text(FunctionElement[str]):
    """A function that gives text."""

    inherit_cache = True
    type = sa.Text()


class json_text(Text):
    """Text as a JSON string (RFC 8259), null for null."""

    inherit_cache = True
    name = "json_text"


class timestamp(Text):
    """A time as domain.events.timestamp has it."""

    inherit_cache = True
    name = "timestamp"


class fraction(Text):
    """A double from 0 to 1 as Python's `repr` has it: the shortest that reads back the same."""

    inherit_cache = True
    name = "fraction"


class joined(Text):
    """An aggregate: the rows' texts with a separator, in the order that they come in."""

    inherit_cache = True
    name = "joined"


class member(Text):
    """A member of a JSON object: a string bare, a number as it was written, null when null or not there."""

    inherit_cache = True
    name = "member"


class members(Text):
    """The strings under one name in a JSON array of objects, with spaces between."""

    inherit_cache = True
    name = "members"


SPELLINGS = {
    json_text: {
        "postgresql": "coalesce(to_json({0})::text, 'null')",
        "sqlite": "json_quote({0})",
    },
    timestamp: {
        "postgresql": """to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
        "sqlite": "replace({0}, ' ', 'T') || 'Z'",
    },
    fraction: {
        "postgresql": "CASE {0} WHEN 1 THEN '1.0' WHEN 0 THEN '0.0' ELSE ({0})::text END",
        "sqlite": (
            "replace(CASE WHEN CAST(printf('%!.15g', {0}) AS REAL) = {0} THEN printf('%!.15g', {0}) "
            "WHEN CAST(printf('%!.16g', {0}) AS REAL) = {0} THEN printf('%!.16g', {0}) "
            "ELSE printf('%!.17g', {0}) END, '.0e', 'e')"
        ),
    },
    joined: {
        "postgresql": "string_agg({0}, {1})",
        "sqlite": "group_concat({0}, {1})",
    },
    member: {
        "postgresql": "({0})::json ->> {1}",
        "sqlite": "nullif(CASE json_type({0}, '$.' || {1}) WHEN 'text' THEN {0} ->> {1} ELSE {0} -> {1} END, 'null')",
    },
    members: {
        "postgresql": "(SELECT string_agg(one ->> {1}, ' ') FROM json_array_elements(({0})::json) AS one)",
        "sqlite": "(SELECT group_concat(one.value ->> {1}, ' ') FROM json_each({0}) AS one)",
    },
}


def _spelt(kind: type[Text], dialect: str) -> None:
    @compiles(kind, dialect)
    def compile_text(element: Any, compiler: Any, **words: Any) -> str:
        return "(" + SPELLINGS[kind][dialect].format(*(compiler.process(one, **words) for one in element.clauses)) + ")"


for _kind, _spelling in SPELLINGS.items():
    for _dialect in _spelling:
        _spelt(_kind, _dialect)
