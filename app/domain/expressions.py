"""Owns expressions in policies: CEL over `input`, `proposal`, `model` and `metadata`, compiled once, run totally.

Must not decide what a result means; an expression that fails gives None, never an exception.
Source: https://github.com/google/cel-spec (this implementation has no cost limit, hence the limits here).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import cel

from app.domain.canonical import is_json_like

MAX_TEXT: Final = 2_000
MAX_NESTED: Final = 2
MAX_COMPREHENSIONS: Final = 4
MAX_STEPS: Final = 1_000_000  # elements that one comprehension inside another may visit
NAMES: Final = ("input", "proposal", "model", "metadata")
COMPREHENSIONS: Final = frozenset({"all", "exists", "exists_one", "existsOne", "filter", "map"})
FUNCTIONS: Final = frozenset({
    "bytes", "contains", "double", "duration", "endsWith", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear",
    "getFullYear", "getHours", "getMilliseconds", "getMinutes", "getMonth", "getSeconds", "has", "int", "matches",
    "size", "startsWith", "string", "timestamp", "uint",
})  # fmt: skip

_TOKEN = re.compile(
    r"""(?P<skip>[ \t\r\n\f]+|//[^\n]*)
    |(?P<text>[bB]?(?:[rR](?:\"\"\".*?\"\"\"|'''.*?'''|"[^"\r\n]*"|'[^'\r\n]*')
        |\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''|"(?:\\.|[^"\\\r\n])*"|'(?:\\.|[^'\\\r\n])*'))
    |(?P<number>0[xX][0-9a-fA-F]+[uU]?|(?:[0-9]+\.)?[0-9]+(?:[eE][-+]?[0-9]+)?[uU]?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<mark>[-+*/%<>=!&|?:.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)
DOT: Final = ("mark", ".")
_CONSTANTS = frozenset({"true", "false", "null", "in"})


class Unacceptable(ValueError):
    """The expression is refused; the message is a sentence that says what would be right."""


Part = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression. `nested` is how deep its comprehensions nest (0: none).

    `parts` are what it can reach: ("input", "amount") of `input.amount`, ("input", None) where all of it may be read.
    """

    text: str
    program: cel.Program
    nested: int
    names: frozenset[str]
    parts: frozenset[Part]


def compile_expression(text: str) -> Expression:
    """Compile CEL text of at most 2,000 characters. Raises Unacceptable with one sentence."""
    if len(text) > MAX_TEXT:
        raise Unacceptable(f"An expression may have {MAX_TEXT:,} characters at most.")
    scan = _Scan(list(_tokens(text)))
    scan.run()
    try:
        program = cel.compile(text)
        references = program.references()
    except BaseException as error:
        _reraise_exits(error)
        raise Unacceptable("The expression cannot be read as CEL.") from None
    names = frozenset(references["variables"])
    _only_known(names - frozenset(NAMES) - scan.bound, "name", NAMES)
    _only_known({name for name in references["functions"] if name[0].isalpha()} - FUNCTIONS, "function", FUNCTIONS)
    return Expression(text, program, scan.deepest, names, frozenset(scan.parts))


def member_paths(expression: Expression, root: str) -> tuple[tuple[str, ...], ...]:
    """The plain member paths over a name: `input.a.b` over `input` is (a, b). Methods and indexes end a path."""
    tokens = [*_tokens(expression.text)]
    starts = [at for at, token in enumerate(tokens) if token == ("name", root) and tokens[at - 1 : at] != [DOT]]
    return tuple(dict.fromkeys(path for at in starts if (path := _members(tokens, at + 1))))


def _members(tokens: list[tuple[str, str]], at: int) -> tuple[str, ...]:
    found = []
    while tokens[at : at + 1] == [DOT] and tokens[at + 2 : at + 3] != [("mark", "(")]:
        found.append(tokens[at + 1][1])
        at += 2
    return tuple(found)


def quotes_proposal(expression: Expression) -> bool:
    """Whether the expression reads `proposal`, so that its result gives something of it away."""
    return "proposal" in expression.names


@dataclass(slots=True)
class Scope:
    """The names that expressions of one decision see. One context serves all of them, made when first needed.

    `parts` are what those expressions can reach; the engine is handed no more, because copying costs most of its time.
    None hands it everything.
    """

    variables: Mapping[str, Any]
    parts: frozenset[Part] | None = None
    _context: cel.Context | None = field(default=None, repr=False)
    _width: int | None = field(default=None, repr=False)

    def holds(self, expression: Expression) -> bool | None:
        """True or false; None when the expression fails, is no boolean, or would take too long."""
        try:
            if expression.nested > 1 and self._widest() ** expression.nested > MAX_STEPS:
                return None
            result = expression.program.execute(self._made())
        except BaseException as error:  # the engine's panics are no Exception
            _reraise_exits(error)
            return None
        return result if isinstance(result, bool) else None

    def _made(self) -> cel.Context:
        if self._context is None:
            variables = dict(self.variables) if self.parts is None else _reachable(self.variables, self.parts)
            if not is_json_like(variables):
                raise ValueError("no JSON value")
            self._context = cel.Context(variables)
        return self._context

    def _widest(self) -> int:
        if self._width is None:
            self._width = max(_width(value) for value in self.variables.values())
        return self._width


def _reachable(variables: Mapping[str, Any], parts: frozenset[Part]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, key in parts:
        value = variables[name]
        if key is None or not isinstance(value, dict) or (name, None) in parts:
            found[name] = value
        elif key in value:
            found.setdefault(name, {})[key] = value[key]
        else:
            found.setdefault(name, {})
    return found


def _reraise_exits(error: BaseException) -> None:
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
        raise error


def _width(value: Any) -> int:
    """The size of the largest list or mapping in `value`."""
    if not isinstance(value, Mapping | list | tuple):
        return 1
    items = value.values() if isinstance(value, Mapping) else value
    return max(len(value), max((_width(item) for item in items), default=1))


def _only_known(unknown: frozenset[str] | set[str], what: str, known: tuple[str, ...] | frozenset[str]) -> None:
    if unknown:
        raise Unacceptable(f"`{min(unknown)[:64]}` is no {what} here; the {what}s are {', '.join(sorted(known))}.")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            raise Unacceptable(f"The expression cannot be read as CEL at character {at + 1}.")
        at = found.end()
        if found.lastgroup and found.lastgroup != "skip":
            yield found.lastgroup, found[0]


@dataclass(slots=True)
class _Scan:
    """One walk over the tokens: who binds which name, where it may be used, and how deep comprehensions nest."""

    tokens: list[tuple[str, str]]
    open: list[str | None] = field(default_factory=list)  # for each open bracket, the name it binds
    bound: set[str] = field(default_factory=set)
    parts: set[Part] = field(default_factory=set)
    deepest: int = 0
    count: int = 0

    def run(self) -> None:
        for index, (kind, text) in enumerate(self.tokens):
            if kind == "mark" and text in "([{":
                self.enter(index)
            elif kind == "mark" and text in ")]}":
                if self.open:
                    self.open.pop()
            elif kind == "name":
                self.name(index, text)

    def enter(self, index: int) -> None:
        before, at = self.look(index - 1), self.look(index)
        if at == "{" and self.tokens[index - 1 : index] and self.tokens[index - 1][0] == "name" and before != "in":
            raise Unacceptable("Messages such as Name{...} are not taken; use a map.")
        if at == "(" and before in COMPREHENSIONS and self.look(index - 2) == ".":
            variable = self.look(index + 1)
            self.bound.add(variable)
            self.open.append(variable)
            self.count += 1
            self.deepest = max(self.deepest, sum(name is not None for name in self.open))
        else:
            self.open.append(None)
        if self.deepest > MAX_NESTED:
            raise Unacceptable(f"Comprehensions may be nested {MAX_NESTED} deep at most.")
        if self.count > MAX_COMPREHENSIONS:
            raise Unacceptable(f"An expression may have {MAX_COMPREHENSIONS} comprehensions at most.")

    def name(self, index: int, text: str) -> None:
        member = self.look(index - 1) == "."
        if self.look(index + 1) == "(" and text not in _CONSTANTS:
            _only_known({text} - FUNCTIONS - (COMPREHENSIONS if member else set()), "function", FUNCTIONS)
        elif not member and text not in _CONSTANTS and text not in self.open:
            _only_known({text} - set(NAMES), "name", NAMES)
        if text in NAMES and not (member and self.is_value(index - 2)):
            self.parts.add((text, self.member_of(index)))

    def is_value(self, index: int) -> bool:
        """Whether a dot after this token selects from a value; a dot in front of a name may also mean the root."""
        return index >= 0 and (self.tokens[index][0] in ("name", "text") or self.tokens[index][1] in (")", "]", "}"))

    def member_of(self, index: int) -> str | None:
        """The member that is selected from the name here; None when it is used in any other way."""
        plain = self.look(index + 1) == "." and self.tokens[index + 2 : index + 3]
        if not plain or plain[0][0] != "name" or self.look(index + 3) == "(":
            return None
        return plain[0][1]

    def look(self, index: int) -> str:
        return self.tokens[index][1] if 0 <= index < len(self.tokens) else ""
