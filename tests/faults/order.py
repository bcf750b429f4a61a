"""Owns the question: is there an order of claims, expiries and verdicts that explains every answer about one review?

The search is Wing and Gong's (Testing and verifying concurrent objects, 1993), with what cannot change the state taken
at once. The rules of a lease are written here a second time, on purpose: it must not import what it judges.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

FOREVER = float("inf")
Kind = Literal["claim", "release", "renew", "verdict", "cancel"]


@dataclass(frozen=True, slots=True)
class Move:
    """What one client wanted of the review, between two moments (s), and what it was told.

    `told`: `done`, a refusal's code, or `unknown` (it may have happened at any time after `start`, or never).
    `token` is the one that was used or, for a claim, granted; None where a claim did not tell it.
    """

    kind: Kind
    who: str
    token: int | None
    told: str
    start: float
    end: float = FOREVER


@dataclass(frozen=True, slots=True)
class State:
    """The review as the rules have it. `until` is the earliest moment at which the lease may be over."""

    token: int = 0
    holder: str | None = None
    until: float = 0.0
    open: bool = True
    said: frozenset[str] = frozenset()
    cancelled: bool = False


def explained(moves: Iterable[Move], lease: float, final: State | None = None, begun: State = State()) -> bool:
    """Whether some order explains all; `final` is what the database holds now (token, holder and open count)."""
    return _search(tuple(sorted(moves, key=lambda move: move.start)), lease, final, begun)


def _search(moves: tuple[Move, ...], lease: float, final: State | None, begun: State) -> bool:
    seen: set[tuple[frozenset[int], State]] = set()
    todo = [(frozenset(range(len(moves))), begun)]
    while todo:
        left, state = todo.pop()
        left = _without_effect(moves, left, state, lease)
        if (left, state) in seen:
            continue
        seen.add((left, state))
        if all(moves[i].told == "unknown" for i in left) and _same(state, final):
            return True
        todo += [(left - {i}, after) for i in _next(moves, left) for after in _after(state, moves[i], lease)]
    return False


def _next(moves: Sequence[Move], left: frozenset[int]) -> Iterator[int]:
    """Moves that may come first: they had begun before any of those left was answered."""
    answered = min((moves[i].end for i in left), default=FOREVER)
    return (i for i in left if moves[i].start <= answered)


def _without_effect(moves: Sequence[Move], left: frozenset[int], state: State, lease: float) -> frozenset[int]:
    # A refusal that is right now changes nothing, so taking it now can spoil no order.
    while True:
        taken = {i for i in _next(moves, left) if moves[i].told not in ("done", "unknown") and _right(state, moves[i])}
        if not taken:
            return left
        left -= taken


def _after(state: State, move: Move, lease: float) -> list[State]:
    """The states that the move can lead to if it takes effect now: none when it cannot."""
    if move.told not in ("done", "unknown"):
        return []
    if move.kind == "cancel" and (state.open or state.cancelled):
        return [replace(state, holder=None, open=False, cancelled=True)]
    if not state.open:
        return []
    if move.kind == "claim":
        return _claimed(state, move, lease)
    if state.holder != move.who or state.token != move.token:
        return []
    if move.kind == "release":
        return [replace(state, token=state.token + 1, holder=None)]
    if move.kind == "renew":
        return [replace(state, until=move.start + lease)]
    return [replace(state, holder=None, open=False, said=state.said | {move.who})]


def _claimed(state: State, move: Move, lease: float) -> list[State]:
    free = state.holder is None or state.holder == move.who or move.end >= state.until
    if not free or move.who in state.said or move.token not in (None, state.token + 1):
        return []
    return [replace(state, token=state.token + 1, holder=move.who, until=move.start + lease)]


def _right(state: State, move: Move) -> bool:
    """Whether the refusal is true of this state."""
    if move.told == "held":
        return state.open and state.holder not in (None, move.who)
    if move.told == "already_final":
        return not state.open and not state.cancelled
    if move.told == "already_settled":
        return not state.open or move.who in state.said
    if move.told == "lease_lost":
        return not (state.open and state.holder == move.who and state.token == move.token)
    return False


def _same(state: State, final: State | None) -> bool:
    return final is None or (state.token, state.holder, state.open) == (final.token, final.holder, final.open)
