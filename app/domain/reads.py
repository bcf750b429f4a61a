"""Owns what is told of a read: whose reads are told, and what of a filter may stand in an event that stays for ever."""

import re
from collections.abc import Mapping
from typing import Any, Final

from app.domain.access import Actor
from app.domain.events import LOOKS, EventType, timestamp

EVERY: Final = "*"  # the object of a read that is of no single one
READS: Final = frozenset(kind for kind in EventType if kind.endswith(LOOKS))
ROLES: Final = frozenset({"auditor", "admin"})
SCOPES: Final = frozenset({"audit:read", "admin"})
NAMED: Final = frozenset({"type", "tier", "status", "model", "overturned"})  # these name no person
FREE: Final = frozenset({"subject", "external_id"})  # whatever a service sends
GIVEN: Final = "given"
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/+-]{0,99}")
_ID: Final = re.compile(r"[a-z]{3}_[0-9a-f-]{36}")


def is_told(actor: Actor) -> bool:
    """Whether what the actor reads is told: people who audit or administer, and keys that do so for nobody."""
    if actor.person_id is not None:
        return not ROLES.isdisjoint(actor.roles)
    return not SCOPES.isdisjoint(actor.scopes)


def asked(filters: Mapping[str, Any]) -> dict[str, Any]:
    """The filters that were used, as an event may say them: of what could name a person only that it was given.

    Not even a digest: it could be guessed for ever, and no erasure reaches it.
    """
    return {name: _plain(name, value) for name, value in filters.items() if value}


def _plain(name: str, value: Any) -> Any:
    if hasattr(value, "strftime"):
        return timestamp(value)
    own = name not in FREE and _ID.fullmatch(str(value))
    if isinstance(value, bool) or own or (name in NAMED and _WORD.fullmatch(value)):
        return value
    return GIVEN
