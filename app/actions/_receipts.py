"""Owns the receipt in an answer: which event tells of what was asked, its leaf, and a signed promise to seal it."""

import base64
from collections.abc import Callable
from typing import Any

from app.domain.events import timestamp
from app.store.events import Told

Promise = Callable[[str], str | None]  # the lines that follow the origin -> a signed note; None without a key


def no_promise(_: str) -> None:
    """For who has no signing key."""


def receipt(told: Told, promise: Promise) -> dict[str, Any]:
    """`{event_id, leaf_hash, promise}`: whoever keeps it can show that the event was promised to be in the tree."""
    leaf = base64.b64encode(bytes.fromhex(told.leaf)).decode()
    said = promise(f"{told.id}\n{leaf}\n{timestamp(told.at)}\n")
    return {"event_id": told.id, "leaf_hash": told.leaf, "promise": said}
