"""Owns how values look in pages: times, numbers, ratios, JSON. Must not decide what is shown."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup

MONTH: Final = 30 * 86_400  # beyond it, a relative time says less than a date
UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))
NOTHING: Final = "-"


def when(value: datetime | str | None, zone: str) -> str:
    """`<time ...>3 min ago</time>`, kept true by page.js; the absolute time is its title."""
    return _element(value, zone, lambda moment: relative(moment, datetime.now(UTC)), Markup(" data-relative"))


def moment(value: datetime | str | None, zone: str) -> str:
    """`<time ...>24 Nov 2025, 14:32:05</time>`"""
    return _element(value, zone, lambda at: f"{_day(_local(at, zone))}, {_local(at, zone):%H:%M:%S}")


def day(value: datetime | str | None, zone: str) -> str:
    """`<time ...>24 Nov 2025</time>`"""
    return _element(value, zone, lambda at: _day(_local(at, zone)))


def minute(at: datetime, zone: str) -> str:
    """`14:32` when that is today, else `25 Nov 2025, 14:32`; for sentences that are said once."""
    local, today = _local(at, zone), _local(datetime.now(UTC), zone).date()
    return f"{local:%H:%M}" if local.date() == today else f"{_day(local)}, {local:%H:%M}"


def relative(then: datetime, now: datetime) -> str:
    """`just now`, `in 12 min`, `3 h ago`; past thirty days the day itself, in UTC. Counts are rounded down."""
    seconds = (then - now).total_seconds()
    size = abs(seconds)
    if size < 60:
        return "in less than 1 min" if seconds > 0 else "just now"
    if size >= MONTH:
        return _day(then)
    unit, name = next((unit, name) for unit, name in UNITS if size >= unit)
    count = int(size // unit)
    return f"in {count} {name}" if seconds > 0 else f"{count} {name} ago"


def duration(seconds: float | None) -> str:
    """`45 s`, `15 min`, `4 h`, `2 d 3 h`: the two largest units at most."""
    if seconds is None:
        return NOTHING
    left, parts = int(seconds), []
    for unit, name in UNITS:
        if left >= unit:
            parts.append(f"{left // unit} {name}")
            left %= unit
    return " ".join(parts[:2]) or f"{left} s"


def num(value: float | None) -> str:
    """`12,392`"""
    return NOTHING if value is None else f"{value:,}"


def pct(ratio: float | None) -> str:
    """`93 %`; one decimal below 1 %; never `100 %` or `0 %` for what is not quite that."""
    if ratio is None:
        return NOTHING
    percent = ratio * 100
    if percent in (0, 100):
        return f"{percent:.0f} %"
    if percent < 1:
        return f"{max(percent, 0.1):.1f} %"
    return f"{min(percent, 99.9):.1f} %" if percent > 99.5 else f"{percent:.0f} %"


def confidence(ratio: float | None, aligned: bool = False) -> str:
    """`0.93`, `0.999`: two to three decimals (three when `aligned`), rounded down, so that 0.99996 is never `1.00`."""
    if ratio is None:
        return NOTHING
    text = str(Decimal(repr(float(ratio))).quantize(Decimal("0.001"), ROUND_DOWN))
    return text if aligned else text.removesuffix("0")


def json_pretty(value: Any) -> str:
    """Indented JSON text, to be put inside `<pre>`."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def read_moment(value: datetime | str) -> datetime:
    """An aware UTC datetime from one, or from RFC 3339 text."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """The zone, or UTC when this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _element(value: datetime | str | None, zone: str, text: Callable[[datetime], str], attribute: str = "") -> str:
    if value is None:
        return NOTHING
    at = read_moment(value).astimezone(UTC)
    local = _local(at, zone)
    title = f"{_day(local)}, {local:%H:%M:%S %Z}"
    return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(
        f"{at:%Y-%m-%dT%H:%M:%SZ}", title, attribute, text(at)
    )


def _local(at: datetime, zone: str) -> datetime:
    return at.astimezone(zone_of(zone))


def _day(at: datetime) -> str:
    return f"{at.day} {at:%b %Y}"


FILTERS: Final[Mapping[str, Callable[..., str]]] = {
    "when": when, "moment": moment, "day": day, "duration": duration,
    "num": num, "pct": pct, "confidence": confidence, "json_pretty": json_pretty,
}  # fmt: skip
