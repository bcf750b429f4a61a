"""Owns walking a document that people wrote (a policy, a decision type), so that every fault is found at once.

Must not know what the documents mean: `policy_document` and `decision_type` do. `document_text` reads the text.
"""

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from app.domain.errors import Fault, Invalid

MAX_FAULTS: Final = 100
SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
SLUG_WORDS: Final = "1 to 63 lower-case letters, digits and hyphens, starting with a letter or digit"
UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
LONGEST: Final = 366 * 86_400

_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_DURATION_WORDS = "must be a duration such as 30s, 15m, 4h or 2d, of 366 days at most."
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def refuse(faults: Sequence[Fault], code: str) -> None:
    """Raise Invalid(code) with all `faults` (at most 100), if there are any."""
    if faults:
        count = len(faults)
        detail = "The document has one fault." if count == 1 else f"The document has {count} faults."
        raise Invalid(detail, code=code, faults=tuple(faults[:MAX_FAULTS]))


def escape(key: str) -> str:
    """One reference token of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def seconds_of(duration: str) -> int | None:
    """Whole seconds of `30s`, `15m`, `4h`, `2d`; None when it is no duration or over 366 days."""
    found = _DURATION.fullmatch(duration)
    if not found:
        return None
    seconds = int(found[1]) * UNITS[found[2]]
    return seconds if seconds <= LONGEST else None


@dataclass(slots=True)
class Section:
    """One mapping of a document, read key by key. Faults gather in `faults`; keys never asked for are unknown."""

    value: Mapping[str, Any]
    pointer: str
    faults: list[Fault]
    asked: list[str] = field(default_factory=list)

    def fault(self, key: str, detail: str) -> None:
        self.faults.append(Fault(self.at(key), detail))

    def at(self, key: str) -> str:
        return f"{self.pointer}/{escape(key)}"

    def get(self, key: str) -> Any:
        """The raw value, or None; asking makes the key known."""
        self.asked.append(key)
        return self.value.get(key)

    def has(self, key: str) -> bool:
        return self.value.get(key) is not None

    def text(
        self, key: str, default: str | None = None, *, pattern: re.Pattern[str] | None = None, words: str = "",
        longest: int = 200,
    ) -> str:  # fmt: skip
        """Text on one line that fits `pattern` (`words` says it); with no `default` it must be there."""
        value = self.get(key)
        if value is None:
            if default is None:
                self.fault(key, f"is missing: it must be {words or 'text'}.")
            return default or ""
        if not isinstance(value, str):
            self.fault(key, f"must be {words or 'text'}; put numbers and true or false in quotes.")
        elif pattern is not None and not pattern.fullmatch(value):
            self.fault(key, f"must be {words}.")
        elif not value.strip() or len(value) > longest or _UNPRINTABLE.search(value) or "\n" in value:
            self.fault(key, f"must be one line of 1 to {longest} characters.")
        else:
            return value
        return default or ""

    def choice(self, key: str, choices: Collection[str], default: str | None = None) -> str:
        value = self.get(key)
        if value is None and default is not None:
            return default
        if isinstance(value, str) and value in choices:
            return value
        self.fault(key, f"must be {listed(choices, 'or')}.")
        return default or next(iter(choices))

    def number(self, key: str, default: float, *, least: float = 0, most: float = 1) -> float:
        value = self.get(key)
        if value is None:
            return default
        if is_number(value) and least <= value <= most:
            return tidy(value)
        self.fault(key, f"must be a number from {least} to {most}.")
        return default

    def whole(self, key: str, default: int, *, least: int, most: int) -> int:
        value = self.get(key)
        if value is None:
            return default
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.fault(key, f"must be a whole number from {least} to {most}.")
        return default

    def duration(self, key: str, default: str | None) -> str | None:
        """The duration as it was written, or `default`."""
        value = self.get(key)
        if value is None:
            return default
        if isinstance(value, str) and seconds_of(value) is not None:
            return value
        self.fault(key, _DURATION_WORDS)
        return default

    def section(self, key: str) -> "Section":
        """The mapping under `key`; an empty one when it is absent or something else (which is a fault)."""
        return as_section(self.get(key), self.at(key), self.faults)

    def items(self, key: str, *, least: int = 0, most: int = 100) -> list[tuple[str, Any]]:
        """Pairs of pointer and value of the list under `key`; empty when it is absent or something else."""
        value = self.get(key)
        if value is None and least == 0:
            return []
        if not isinstance(value, Sequence) or isinstance(value, str) or not least <= len(value) <= most:
            self.fault(key, f"must be a list of {least} to {most} entries.")
            return []
        return [(f"{self.at(key)}/{index}", item) for index, item in enumerate(value)]

    def sections(self, key: str, *, least: int = 0, most: int = 100) -> Iterator["Section"]:
        """Each mapping in the list under `key`; closed after use, so unknown keys are found."""
        for pointer, item in self.items(key, least=least, most=most):
            if isinstance(item, Mapping):
                section = Section(item, pointer, self.faults)
                yield section
                section.close()
            else:
                self.faults.append(Fault(pointer, "must be a mapping of keys to values."))

    def close(self) -> None:
        """A fault for every key that nobody asked for."""
        known = listed(list(dict.fromkeys(self.asked)), "and")
        for key in self.value:
            if key not in self.asked:
                self.fault(key, f"is not a key here; the keys are {known}.")


def as_section(value: Any, pointer: str, faults: list[Fault]) -> Section:
    if value is None or isinstance(value, Mapping):
        return Section(value or {}, pointer, faults)
    faults.append(Fault(pointer, "must be a mapping of keys to values."))
    return Section({}, pointer, faults)


def listed(words: Collection[str], joiner: str) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *most, last = words
    return f"{', '.join(most)} {joiner} {last}" if most else last


def is_number(value: Any) -> bool:
    """A finite number; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, int) or math.isfinite(value)


def tidy(value: float) -> float:
    """1.0 and 1 are one number (RFC 8785 writes both as 1), so that one meaning has one digest."""
    return int(value) if value == int(value) else value


def fractions_as_text(value: Any) -> Any:
    """The value with each float as its shortest text, so that it has canonical bytes."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        return {key: fractions_as_text(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fractions_as_text(item) for item in value]
    return value
