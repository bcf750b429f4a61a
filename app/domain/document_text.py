"""Owns reading a document's text: YAML 1.2 core or strict JSON, with nothing that JSON could not hold.

Must not resolve aliases, run tags, or know what the document means.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from app.domain.canonical import MAX_DEPTH, MAX_INTEGER, parse_strict
from app.domain.documents import escape, refuse
from app.domain.errors import Fault, Invalid, Malformed

MAX_DOCUMENT: Final = 65_536


def read_document(source: str | Mapping[str, Any], *, code: str) -> dict[str, Any]:
    """Read a document of at most 64 KiB: text as JSON or YAML 1.2 core, or a mapping already parsed.

    Raises Invalid(code) when it cannot be read, holds what JSON cannot hold, or is not a mapping.
    """
    value = _parse(source, code) if isinstance(source, str) else source
    faults = list(_unfit(value, "", 1))
    if not faults and not isinstance(value, Mapping):
        faults = [Fault("", "The document must be a mapping of keys to values.")]
    refuse(faults, code)
    return dict(value)


def _parse(text: str, code: str) -> Any:
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise _unreadable("The document must be valid Unicode text.", code) from None
    if len(raw) > MAX_DOCUMENT:
        raise _unreadable(f"The document may have {MAX_DOCUMENT:,} bytes at most.", code)
    if text.lstrip().startswith("{"):
        try:
            return parse_strict(raw)
        except Malformed as error:
            if error.code != "json_syntax":
                raise _unreadable(error.detail, code) from None
    return _parse_yaml(text, code)


def _parse_yaml(text: str, code: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 (a subclass of SafeLoader)
    except _Refused as error:
        raise _unreadable(f"{error.problem} (line {_line(error)}).", code) from None
    except yaml.MarkedYAMLError as error:
        raise _unreadable(f"The document is not readable as YAML near line {_line(error)}.", code) from None
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError):
        raise _unreadable("The document is not readable as YAML.", code) from None


def _line(error: yaml.MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark else 1


def _unreadable(sentence: str, code: str) -> Invalid:
    return Invalid(sentence, code=code, faults=(Fault("", sentence),))


def _unfit(value: Any, pointer: str, depth: int) -> Iterator[Fault]:
    """What strict JSON could not carry."""
    if depth > MAX_DEPTH:
        yield Fault("", f"Lists and mappings may be nested {MAX_DEPTH} deep at most.")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str) or not _carries(key):
                yield Fault(pointer, "Every key must be text; put numbers and true or false in quotes.")
            else:
                yield from _unfit(item, f"{pointer}/{escape(key)}", depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _unfit(item, f"{pointer}/{index}", depth + 1)
    elif not _carries(value):
        yield Fault(pointer, "must be text, a finite number (whole ones within 2^53-1), true, false or null.")


def _carries(value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, int):
        return -MAX_INTEGER <= value <= MAX_INTEGER
    return isinstance(value, float) and math.isfinite(value)


class _Refused(yaml.MarkedYAMLError):
    """Well-formed YAML that we do not take."""


class _Loader(yaml.SafeLoader):
    """YAML 1.2 core schema without aliases, tags and duplicate keys: `no` is text, and nothing can explode."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 (PyYAML's own name)

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _Refused(
                problem="Anchors and aliases are not taken: write the value out", problem_mark=event.start_mark
            )
        if getattr(event, "tag", None):
            raise _Refused(problem="Tags are not taken: leave out the word after !", problem_mark=event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Refused(problem="A key must be plain text", problem_mark=key.start_mark)
            if key.value in seen:
                raise _Refused(problem="A key may be given once only", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?)$|[-+]?\.inf$|\.nan$"),
    list("-+0123456789."),
)
