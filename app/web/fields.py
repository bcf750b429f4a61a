"""Owns how an input is laid out by its JSON Schema: a flat list of labelled values. Values stay text, never markup."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

MAX_FIELDS: Final = 1_000
MAX_DEPTH: Final = 32
Kind = Literal["text", "number", "money", "bool", "date", "list", "object", "url"]

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")
_URL: Final = re.compile(r"https?://\S+")
_CENTS: Final = "_cents"


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a laid-out input; `value` is None for a heading whose parts follow one deeper."""

    label: str
    path: str
    value: Any
    kind: Kind
    description: str | None
    depth: int


def laid_out(schema: Mapping[str, Any], value: Any) -> list[Field]:
    """The fields of an input, in the schema's order, then those that the schema does not name."""
    found: list[Field] = []
    for one in _parts(_Place(schema, schema, "", 0), value):
        if len(found) == MAX_FIELDS:
            text = f"The input has more than {MAX_FIELDS:,} fields; the API shows the rest."
            return [*found, Field("More", "", text, "text", None, 0)]
        found.append(one)
    return found


def money(cents: int, currency: Any = None) -> str:
    """`1,234.50 EUR` from hundredths."""
    sign, size = ("-" if cents < 0 else ""), abs(cents)
    amount = f"{sign}{size // 100:,}.{size % 100:02d}"
    return f"{amount} {currency}" if isinstance(currency, str) and currency.strip() else amount


def is_money(key: str, value: Any) -> bool:
    return key.endswith(_CENTS) and isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where we are: the schema that holds here, the whole of it (for references), the pointer, the depth."""

    schema: Mapping[str, Any]
    root: Mapping[str, Any]
    path: str
    depth: int

    def property(self, key: str) -> Mapping[str, Any]:
        named = self.schema.get("properties")
        return _resolved(named.get(key) if isinstance(named, Mapping) else None, self.root)

    def into(self, schema: Mapping[str, Any], key: str, deeper: bool) -> "_Place":
        escaped = key.replace("~", "~0").replace("/", "~1")
        return _Place(schema, self.root, f"{self.path}/{escaped}", self.depth + deeper)


def _parts(at: _Place, value: Any, deeper: bool = False) -> Iterator[Field]:
    if isinstance(value, Mapping):
        for key in _ordered(at.schema, value):
            yield from _one(at.into(at.property(key), key, deeper), _label(key), value[key], value)
    elif isinstance(value, list):
        item = _resolved(at.schema.get("items"), at.root)
        for number, entry in enumerate(value):
            yield from _one(at.into(item, str(number), deeper), str(number + 1), entry, {})
    else:
        yield Field("Input", at.path, value, _kind(value, at.schema), None, at.depth)


def _one(at: _Place, label: str, value: Any, siblings: Mapping[str, Any]) -> Iterator[Field]:
    label, description = _word(at.schema, "title") or label, _word(at.schema, "description")
    if _is_group(value) and at.depth < MAX_DEPTH:
        yield Field(label, at.path, None, "object" if isinstance(value, Mapping) else "list", description, at.depth)
        yield from _parts(at, value, deeper=True)
        return
    kind = _kind(value, at.schema)
    if is_money(at.path, value):
        kind, value = "money", money(value, siblings.get("currency"))
        label = label.removesuffix(" in cents")  # it is shown in whole units
    yield Field(label, at.path, value, kind, description, at.depth)


def _is_group(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value)
    return isinstance(value, list) and any(isinstance(item, Mapping | list) for item in value)


def _kind(value: Any, schema: Mapping[str, Any]) -> Kind:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, list):
        return "list"
    if isinstance(value, str):
        return _kind_of_text(value, schema.get("format"))
    return "object" if isinstance(value, Mapping) else "text"


def _kind_of_text(value: str, form: Any) -> Kind:
    if form in ("date", "date-time") or _DATE.fullmatch(value):
        return "date"
    return "url" if form == "uri" or _URL.fullmatch(value) else "text"


def _ordered(schema: Mapping[str, Any], value: Mapping[str, Any]) -> list[str]:
    named = schema.get("properties")
    first = [key for key in named if key in value] if isinstance(named, Mapping) else []
    return [*first, *(key for key in value if key not in set(first))]


def _label(key: str) -> str:
    """`member_since` -> `Member since`, `amount_cents` -> `Amount`."""
    words = key.removesuffix(_CENTS).replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:] if words else key


def _word(schema: Mapping[str, Any], key: str) -> str | None:
    text = schema.get(key)
    return text if isinstance(text, str) and text else None


def _resolved(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema, with a reference inside the document followed; {} when there is none to read."""
    for _ in range(8):
        if not isinstance(schema, Mapping):
            return {}
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        schema = _at_pointer(root, reference)
    return {}


def _at_pointer(root: Any, reference: str) -> Any:
    for step in reference.removeprefix("#").split("/")[1:]:
        root = root.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(root, Mapping) else None
    return root
