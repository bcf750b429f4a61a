"""Owns what people typed: forms as text with limits, read once. Must not know any page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl

from fastapi import Request

from app.domain.errors import Fault, HandrailError, Invalid, Malformed
from app.web.filters import zone_of

MAX_BODY: Final = 1_048_576  # bytes
MAX_FIELDS: Final = 100
MAX_TEXT: Final = 10_000  # characters of one field
MAX_DOCUMENT: Final = 200_000
MAX_WHOLE: Final = 2**53 - 1
FORM_TYPE: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form, each with every value that it was sent with."""

    fields: Mapping[str, list[str]] = field(default_factory=dict)

    def text(self, name: str, most: int = MAX_TEXT) -> str:
        """The field without blank ends, "" when absent. Raises Invalid when it is longer than `most` characters."""
        return self.raw(name, most).strip()

    def raw(self, name: str, most: int = MAX_TEXT) -> str:
        """The field as typed (a password, a document), "" when absent."""
        value = self.fields.get(name, [""])[-1]
        if len(value) > most:
            raise wrong(name, f"Use at most {most:,} characters.")
        return value

    def all(self, name: str) -> list[str]:
        return list(self.fields.get(name, []))

    def whole(self, name: str) -> int | None:
        """The field as a whole number from 0 to 2^53-1, None when empty. Raises Invalid."""
        value = self.text(name, 32)
        if not value:
            return None
        if not (value.isascii() and value.isdecimal()) or int(value) > MAX_WHOLE:
            raise wrong(name, "Say a whole number.")
        return int(value)

    def typed(self, *lists: str) -> dict[str, Any]:
        """What to show again: the last value of each field, all values of `lists`, never a password or token."""
        last = {name: values[-1] for name, values in self.fields.items() if name not in SECRET}
        return last | {name: self.all(name) for name in lists}


SECRET: Final = frozenset({"csrf", "password", "current", "new", "again", "token"})


async def read_form(request: Request) -> Form:
    """The form of a POST; an empty one for other methods. Raises Malformed, Invalid."""
    if request.method != "POST":
        return Form()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await _body(request)
    if body and kind != FORM_TYPE:
        raise Malformed(f"Send the form as {FORM_TYPE}.", "unsupported_media_type")
    return _parsed(body)


def check_text(*values: str) -> None:
    """Raise Invalid when a value holds NUL, which no database keeps."""
    if any("\x00" in value for value in values):
        raise Invalid("The text holds a character (NUL) that is not allowed.", "nul_character")


def wrong(name: str, detail: str) -> Invalid:
    """One field is wrong, and what would be right."""
    return Invalid(detail, faults=(Fault(f"/{name}", detail),))


def by_field(error: HandrailError, *known: str) -> dict[str, str]:
    """An error as sentences by field name; what belongs to no known field stands under ""."""
    found: dict[str, str] = {}
    for fault in error.faults:
        name = fault.pointer.lstrip("/").partition("/")[0]
        found.setdefault(name if name in known else "", fault.detail)
    return found or {"": error.detail}


def day_start(name: str, text: str, zone: str, *, after: bool = False) -> datetime | None:
    """Midnight at the start of a day (or, `after`, at its end) in a zone; None for "". Raises Invalid."""
    if not text:
        return None
    try:
        chosen = date.fromisoformat(text) + timedelta(days=1 if after else 0)
        midnight = datetime.combine(chosen, time.min, zone_of(zone))
        midnight.timestamp()
    except (ValueError, OverflowError):
        raise wrong(name, "Say a day as YEAR-MONTH-DAY, such as 2026-03-31.") from None
    return midnight


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY:
            raise Malformed("The form is larger than 1 MiB.", "form_too_large")
        parts.append(chunk)
    return b"".join(parts)


def _parsed(body: bytes) -> Form:
    try:
        text = body.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError:
        raise Invalid("The form is not UTF-8 text.", "not_utf8") from None
    except ValueError:
        raise Malformed("The form has too many fields.", "form_too_large") from None
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        check_text(name, value)
        fields.setdefault(name, []).append(value.replace("\r\n", "\n"))
    return Form(fields)
