"""Owns what lists have in common: filters in the address, days in the person's zone, cursors."""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from app.domain.errors import Invalid
from app.store.decisions import Filters
from app.web.ask import Ask
from app.web.filters import read_moment
from app.web.forms import MAX_TEXT, day_start, wrong


def filters_of(ask: Ask, *names: str) -> dict[str, str]:
    """The filters of the address by name, "" for those that are not there. Raises Invalid when one is too long."""
    found = {name: ask.query.get(name, "").strip() for name in names}
    for name, value in found.items():
        if len(value) > MAX_TEXT:
            raise wrong(name, f"Use at most {MAX_TEXT:,} characters.")
    return found


def decision_filters(ask: Ask, asked: Mapping[str, str]) -> Filters:
    """The filters of decisions; days are the person's, the last one included. Raises Invalid."""
    overturned = asked["status"] == "overturned"
    return Filters(
        type=asked["type"] or None,
        tier=asked["tier"] or None,
        status=None if overturned else asked["status"] or None,
        model=asked.get("model") or None,
        overturned=overturned,
        since=day_start("from", asked["from"], ask.me.zone),
        until=day_start("to", asked["to"], ask.me.zone, after=True),
    )


def cursor(key: tuple[Any, ...]) -> str:
    """A (datetime, id) key as text for an address."""
    at, row_id = key
    return base64.urlsafe_b64encode(f"{at.astimezone(UTC).isoformat()} {row_id}".encode()).decode().rstrip("=")


def read_cursor(text: str) -> tuple[datetime, str] | None:
    """The key in a cursor; None for "". Raises Invalid."""
    if not text:
        return None
    try:
        at, _, row_id = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition(" ")
        moment = read_moment(at)
        if moment.tzinfo is None or "\x00" in row_id:
            raise ValueError
        return moment, row_id
    except (ValueError, binascii.Error):
        raise Invalid("This page of the list cannot be found; start again from its first page.") from None


def next_url(path: str, asked: Mapping[str, str], key: tuple[Any, ...] | None) -> str | None:
    """The address of the next page with the same filters."""
    if key is None:
        return None
    return f"{path}?{urlencode({name: value for name, value in asked.items() if value} | {'cursor': cursor(key)})}"
