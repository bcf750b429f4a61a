"""The judge is judged: histories that are possible pass, and those that are not are caught."""

import pytest

from tests.faults.order import Move, State, explained

LEASE = 10.0


def move(kind: str, who: str, token: int | None, told: str, start: float, end: float = float("inf")) -> Move:
    return Move(kind, who, token, told, start, end)  # type: ignore[arg-type]


POSSIBLE = {
    "nothing happened": ([], State()),
    "claimed and decided": (
        [move("claim", "ada", 1, "done", 0, 1), move("verdict", "ada", 1, "done", 2, 3)], State(1, None, open=False)),
    "given back and taken by another": (
        [move("claim", "ada", 1, "done", 0, 1), move("release", "ada", 1, "done", 2, 3),
         move("claim", "ben", 3, "done", 2, 4)], State(3, "ben")),
    "taken over when the lease was over": (
        [move("claim", "ada", 1, "done", 0, 1), move("claim", "ben", 2, "done", 11, 12),
         move("verdict", "ada", 1, "lease_lost", 13, 14)], State(2, "ben")),
    "the late holder was in time, for nobody had taken it": (
        [move("claim", "ada", 1, "done", 0, 1), move("verdict", "ada", 1, "done", 50, 51)], State(1, None, open=False)),
    "a verdict without an answer took effect": (
        [move("claim", "ada", 1, "done", 0, 1), move("verdict", "ada", 1, "unknown", 2),
         move("verdict", "ada", 1, "already_settled", 3, 4)], State(1, None, open=False)),
    "a verdict without an answer took no effect": (
        [move("claim", "ada", 1, "done", 0, 1), move("verdict", "ada", 1, "unknown", 2)], State(1, "ada")),
    "five hundred wanted it and one has it": (
        [move("claim", "w", 1, "done", 0, 9), *(move("claim", f"p{n}", None, "held", 0, 9) for n in range(499))],
        State(1, "w")),
    "a claim without an answer holds it": (
        [move("claim", "ada", 1, "unknown", 0), move("claim", "ben", None, "held", 5, 6)], State(1, "ada")),
    "withdrawn while it was held, and withdrawn again": (
        [move("claim", "ada", 1, "done", 0, 1), move("cancel", "svc", None, "done", 2, 3),
         move("verdict", "ada", 1, "already_settled", 4, 5), move("cancel", "svc", None, "done", 6, 7)],
        State(1, None, open=False)),
    "a renewal keeps others away": (
        [move("claim", "ada", 1, "done", 0, 1), move("renew", "ada", 1, "done", 8, 9),
         move("claim", "ben", None, "held", 15, 16)], State(1, "ada")),
}  # fmt: skip
IMPOSSIBLE = {
    "granted twice": (
        [move("claim", "ada", 1, "done", 0, 1), move("claim", "ben", 2, "done", 2, 3)], State(2, "ben")),
    "one token for two": (
        [move("claim", "ada", 1, "done", 0, 1), move("claim", "ben", 1, "done", 0, 1)], State(1, "ben")),
    "granted at once after a renewal": (
        [move("claim", "ada", 1, "done", 0, 1), move("renew", "ada", 1, "done", 8, 9),
         move("claim", "ben", 2, "done", 11, 12)], State(2, "ben")),
    "a stale verdict was taken": (
        [move("claim", "ada", 1, "done", 0, 1), move("claim", "ben", 2, "done", 11, 12),
         move("verdict", "ada", 1, "done", 13, 14)], State(2, None, open=False)),
    "two final verdicts": (
        [move("claim", "ada", 1, "done", 0, 1), move("verdict", "ada", 1, "done", 2, 3),
         move("claim", "ben", 2, "done", 11, 12), move("verdict", "ben", 2, "done", 13, 14)],
        State(2, None, open=False)),
    "an acknowledged verdict is gone": (
        [move("claim", "ada", 1, "done", 0, 1), move("verdict", "ada", 1, "done", 2, 3)], State(1, "ada")),
    "an acknowledged claim is gone": ([move("claim", "ada", 1, "done", 0, 1)], State()),
    "a refusal that was not true": (
        [move("claim", "ada", 1, "done", 0, 1), move("verdict", "ada", 1, "lease_lost", 2, 3)], State(1, "ada")),
    "withdrawn though it was decided": (
        [move("claim", "ada", 1, "done", 0, 1), move("verdict", "ada", 1, "done", 2, 3),
         move("cancel", "svc", None, "done", 4, 5)], State(1, None, open=False)),
    "held by nobody": ([move("claim", "ada", None, "held", 0, 1)], State()),
    "settled by nobody": ([move("claim", "ada", None, "already_settled", 0, 1)], State()),
    "the token went back": (
        [move("claim", "ada", 2, "done", 0, 1), move("release", "ada", 2, "done", 2, 3)], State(2)),
}  # fmt: skip


@pytest.mark.parametrize("name", POSSIBLE)
def test_a_possible_history_is_explained(name: str) -> None:
    moves, final = POSSIBLE[name]
    assert explained(moves, LEASE, final)


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_an_impossible_history_is_caught(name: str) -> None:
    moves, final = IMPOSSIBLE[name]
    assert not explained(moves, LEASE, final)
