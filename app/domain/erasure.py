"""Owns the causes of erasures and legal holds: codes, so that nothing about a person can stand in an event."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

UNFIT = "The input did not match the decision type's schema."


class Cause(StrEnum):
    """Why the data of a subject is erased: the grounds of GDPR article 17(1)."""

    NO_LONGER_NEEDED = "no_longer_needed"  # (a)
    CONSENT_WITHDRAWN = "consent_withdrawn"  # (b)
    OBJECTION = "objection"  # (c)
    UNLAWFUL = "unlawful"  # (d)
    LEGAL_DUTY = "legal_duty"  # (e)
    OTHER = "other"


class HoldCause(StrEnum):
    """Why nothing of a decision may be erased."""

    LITIGATION = "litigation"
    INVESTIGATION = "investigation"
    REGULATOR = "regulator"
    OTHER = "other"


class Under(StrEnum):
    """What an erasure was done under."""

    REQUEST = "request"
    RETENTION = "retention"


def reasons_left(reasons: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The reasons {code, text, ...} of an erased decision: where texts named places in its input, they no longer do."""
    return [{**one, "text": UNFIT} if one["code"] == "input_invalid" else {**one} for one in reasons]
