"""Promise: the next review is as near with a million waiting as with a thousand.

Claiming the next review and ruling on it (two transactions, with their events), with 1,000 and with 1,000,000 waiting,
in turns; of every type, and of one rare type alone. On PostgreSQL also behind a snapshot that has been open for 10,000
settled reviews. Prints ratios, asserts nothing.
"""

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from common import databases, in_turns, p99, ratio
from fill import REVIEWER, fill, plain, prepare

from app.actions import reviews, verdicts
from app.domain.access import Actor, Grant
from app.domain.review import Action, Said
from app.store.db import Database

RARE = 30  # rounds; of a thousand reviews fifty are of the rare type, and those of every type take some of them
SETTLED = "UPDATE review SET state = 'settled' WHERE id IN (SELECT id FROM review WHERE {0} LIMIT {1})"
NEXT = "state = 'open' AND decision_type = '{0}' AND lease_holder IS NULL ORDER BY priority, due_at, id"


def main() -> None:
    """Fill two databases on each engine, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=1_000)
    parser.add_argument("--many", type=int, default=1_000_000, help="10,000,000 takes some 25 GB")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--dead", type=int, default=10_000, help="settled behind an open snapshot (PostgreSQL)")
    parser.add_argument("--engines", choices=("sqlite", "postgres", "both"), default="both")
    asked = parser.parse_args()
    with databases(("few", "many"), asked.engines) as found:
        for engine, urls in found.items():
            few, many = Database(urls["few"]), Database(urls["many"])
            for db, count in ((few, asked.few), (many, asked.many)):
                prepare(db)
                fill(db, count, rare=5, events=False)
            written(many)
            measure(engine, few, many, asked)
            few.close()
            many.close()


def written(db: Database) -> None:
    """Let PostgreSQL write out what the fill left, which would be measured instead."""
    if not db.is_sqlite:
        with plain(db).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("CHECKPOINT")


def measure(engine: str, few: Database, many: Database, asked: argparse.Namespace) -> None:
    """The table of one engine."""
    print(f"{engine}: {asked.few:,} and {asked.many:,} waiting, {asked.rounds} rounds")
    print(f"  {'':<30}{'p50 few':>10}{'p50 many':>10}{'ratio':>8}{'p99 few':>10}{'p99 many':>10}  ms")
    for name, types in {"every type": ("*",), "one rare type": ("account-closure",)}.items():
        targets: dict[str, Callable[[], object]] = {}
        for size, db in (("few", few), ("many", many)):
            desk = Desk(db, types)
            targets |= {f"claim {size}": desk.claim, f"verdict {size}": desk.rule}
        times = in_turns(targets, min(asked.rounds, RARE) if name == "one rare type" else asked.rounds, warm=1)
        for kind, title in {"claim": f"claim next, {name}", "verdict": f"verdict, {name}"}.items():
            row(title, times, kind)
    if not few.is_sqlite and asked.dead:
        behind_a_snapshot(many, asked)


def row(title: str, found: dict[str, list[float]], kind: str) -> None:
    """One line: medians, their ratio, 99th percentiles."""
    few, many = found[f"{kind} few"], found[f"{kind} many"]
    own = ratio(found, f"{kind} many", f"{kind} few")
    medians = f"{statistics.median(few):>10.2f}{statistics.median(many):>10.2f}{own:>8.2f}"
    print(f"  {title:<30}{medians}{p99(few):>10.2f}{p99(many):>10.2f}")


class Desk:
    """A reviewer with some types, who claims, then rules."""

    def __init__(self, db: Database, types: tuple[str, ...]) -> None:
        with db.read() as tx:
            person = tx.value(sa.text("SELECT id FROM person WHERE email = :email"), {"email": REVIEWER})
        grants = tuple(Grant("reviewer", slug) for slug in types)
        self.db = db
        self.me = Actor("person", person, "Million", person_id=person, grants=grants)
        self.held: Any = None

    def claim(self) -> None:
        """Lease the next one."""
        self.held = reviews.claim_next(self.db, self.me)

    def rule(self) -> None:
        """Settle what was leased last."""
        said = Said(Action.APPROVE, None, None, "Seen.")
        verdicts.give_verdict(self.db, self.me, self.held["id"], self.held["lease"]["token"], said)


def behind_a_snapshot(db: Database, asked: argparse.Namespace) -> None:
    """Claims before and after 10,000 reviews at the head are settled while a snapshot, opened before, stays open."""
    desk = Desk(db, ("refund",))
    before = in_turns({"claim": desk.claim, "rule": desk.rule}, asked.rounds)
    with plain(db).connect().execution_options(isolation_level="REPEATABLE READ") as old, old.begin():
        old.exec_driver_sql("SELECT count(*) FROM queue").all()
        with plain(db).begin() as connection:
            connection.exec_driver_sql(SETTLED.format(NEXT.format("refund"), asked.dead))
        after = in_turns({"claim": desk.claim, "rule": desk.rule}, asked.rounds, warm=1)
    both = {"before": before["claim"], "after": after["claim"]}
    print(f"  claim next behind a snapshot that is {asked.dead:,} settled reviews old:")
    medians = f"{statistics.median(both['before']):.2f} ms without, {statistics.median(both['after']):.2f} ms with"
    print(f"    {medians}, ratio {ratio(both, 'after', 'before'):.1f}, p99 {p99(both['after']):.1f} ms\n")


if __name__ == "__main__":
    main()
