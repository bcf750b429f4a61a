"""Owns the question that a review asks, in one line. Must not read the proposal: a blind one must not show."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from app.web.fields import is_money, money

MAX_QUOTE: Final = 80
MIN_QUOTE: Final = 20


def question(title: str, outcomes: Sequence[str], subject: str | None, value: Any) -> str:
    """`Refund 84.00 EUR for customer 5512?`; without an amount or a subject, what is asked, or the text itself.

    `outcomes` are titles; `value` is the input.
    """
    amount = next(_amounts(value), "")
    if amount or subject:
        return f"{title}{amount and ' ' + amount}{f' for {_cut(subject)}' if subject else ''}?"
    quote = next(_quotes(value), "")
    if quote:
        return f"{title}: “{quote}”"
    return f"{title}: {_either(outcomes)}?"


def _amounts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if is_money(key, item):
                yield money(item, value.get("currency"))


def _quotes(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        texts = [item for item in value.values() if isinstance(item, str) and len(item.strip()) >= MIN_QUOTE]
        if texts:
            yield _cut(max(texts, key=len))


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_QUOTE else line[: MAX_QUOTE - 1].rstrip() + "…"


def _either(outcomes: Sequence[str]) -> str:
    if len(outcomes) > 4:
        return f"which of {len(outcomes)} outcomes"
    return f"{', '.join(outcomes[:-1])} or {outcomes[-1]}"
