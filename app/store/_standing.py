"""Owns what rarely changes and is kept in memory: used only while the database says that nothing of it has changed.

Must not be used in a transaction that itself changes keys, people, roles, types or policies: what that transaction
sees may never be committed. The number behind it is migration 0005's.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Kept = dict[tuple[str, Hashable], Any]


class Standing:
    """One per Database. Misses are not kept, so that asking for what is not there costs no memory."""

    def __init__(self) -> None:
        self._state: tuple[int, Kept] = (-1, {})

    def at(self, generation: int) -> Kept:
        """What is kept of that generation: everything known, or nothing yet."""
        state = self._state
        if state[0] != generation:
            # Another thread may do the same; then one of two equal beginnings is dropped.
            self._state = state = (generation, {})
        return state[1]

    def forget(self) -> None:
        """Begin anew: behind the same address there may be another database now."""
        self._state = (-1, {})


def kept(known: Kept, kind: str, keys: Iterable[K], load: Callable[[set[K]], dict[K, V]]) -> dict[K, V]:
    """The values by key, loaded where they are not known yet; keys without a value are left out."""
    wanted = set(keys)
    missing = {key for key in wanted if (kind, key) not in known}
    if missing:
        for key, value in load(missing).items():
            known[kind, key] = value
    return {key: known[kind, key] for key in wanted if (kind, key) in known}
