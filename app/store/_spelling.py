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
    """A double from 0 to 1 as Python's `repr` has it, on SQLite if 15 digits say it: as what people write does."""

    inherit_cache = True
    name = "fraction"


class first_code(FunctionElement[int]):
    """The code point that a text begins with."""

    inherit_cache = True
    name = "first_code"
    type = sa.Integer()


class joined(Text):
    """An aggregate: the rows' texts with a separator, in the order that they come in."""

    inherit_cache = True
    name = "joined"


class confidence(Text):
    """A double from 0 to 1 as it was written in the JSON text beside it, under "confidence"; null when null."""

    inherit_cache = True
    name = "confidence"


class members(Text):
    """The strings under one name in a JSON array of objects, with spaces between."""

    inherit_cache = True
    name = "members"


class between(Text):
    """What stands in a text after the first of two others and before the second."""

    inherit_cache = True
    name = "between"


class has(FunctionElement[bool]):
    """Whether a text holds another."""

    inherit_cache = True
    name = "has"
    type = sa.Boolean()


class concatenated(Text):
    """Texts in a row; none may be null."""

    inherit_cache = True
    name = "concatenated"


SPELLINGS: dict[type[FunctionElement[Any]], dict[str, str]] = {
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
        "sqlite": "replace(printf('%!.15g', {0}), '.0e', 'e')",
    },
    first_code: {
        "postgresql": "ascii({0})",
        "sqlite": "unicode({0})",
    },
    joined: {
        "postgresql": "string_agg({0}, {1})",
        "sqlite": "group_concat({0}, {1})",
    },
    confidence: {  # 1 and 1.0 are one number but two texts; all others have one
        "postgresql": "CASE WHEN {0} IN (0, 1) THEN ({1})::json ->> 'confidence' ELSE ({0})::text END",
        "sqlite": "nullif({1} -> '$.confidence', 'null')",
    },
    between: {
        "postgresql": "split_part(split_part({0}, {1}, 2), {2}, 1)",
        "sqlite": "substr({0}, instr({0}, {1}) + length({1}), instr({0}, {2}) - instr({0}, {1}) - length({1}))",
    },
    has: {
        "postgresql": "strpos({0}, {1}) > 0",
        "sqlite": "instr({0}, {1}) > 0",
    },
    members: {
        "postgresql": "(SELECT string_agg(one ->> {1}, ' ') FROM json_array_elements(({0})::json) AS one)",
        "sqlite": "(SELECT group_concat(one.value ->> {1}, ' ') FROM json_each({0}) AS one)",
    },
}


def _spelt(kind: type[FunctionElement[Any]], dialect: str) -> None:
    @compiles(kind, dialect)
    def compile_text(element: Any, compiler: Any, **words: Any) -> str:
        return "(" + SPELLINGS[kind][dialect].format(*(compiler.process(one, **words) for one in element.clauses)) + ")"


for _kind, _spelling in SPELLINGS.items():
    for _dialect in _spelling:
        _spelt(_kind, _dialect)


@compiles(concatenated, "postgresql")
def _in_one_call(element: Any, compiler: Any, **words: Any) -> str:
    # A function takes 100 arguments.
    parts = [compiler.process(one, **words) for one in element.clauses]
    calls = [f"concat({', '.join(parts[start : start + 90])})" for start in range(0, len(parts), 90)]
    return calls[0] if len(calls) == 1 else f"concat({', '.join(calls)})"


@compiles(concatenated, "sqlite")
def _in_a_row(element: Any, compiler: Any, **words: Any) -> str:
    return "(" + " || ".join(compiler.process(one, **words) for one in element.clauses) + ")"
