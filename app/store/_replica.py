"""Owns the read replica: is it fit to be asked now, and how far is it behind. Part of the seam in db.py.

Never raises for a replica that is away: it says no, and the primary is read instead.
"""

import logging
import threading
import time
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

EVERY = 5.0  # seconds between looks, while somebody reads
MAX_BEHIND = 30.0  # seconds; a replica that is further behind is not read
CATCH_UP = 1.0  # seconds that a look gives the replica to reach what the primary had when it began
log = logging.getLogger(__name__)

WHO = "(SELECT system_identifier FROM pg_control_system()), current_database()"
ON_PRIMARY = sa.text(f"SELECT {WHO}, pg_current_wal_insert_lsn()::text")
ON_REPLICA = sa.text(f"SELECT {WHO}, pg_is_in_recovery()")
REPLAYED = sa.text(
    "SELECT pg_last_wal_replay_lsn()::text, extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())"
)


@dataclass(frozen=True, slots=True)
class State:
    """How a replica stands: `behind` in seconds where known; `problem` is a sentence when it is not read."""

    behind: float | None = None
    problem: str | None = None


AWAY = State(problem="The read replica cannot be reached: reads go to the primary.")
OTHER = State(problem="HANDRAIL_READ_DATABASE_URL is no physical replica of this database: reads go to the primary.")


class Replica:
    """One replica of `primary`, read through `engine`. Unfit until it has been looked at."""

    def __init__(self, engine: sa.Engine, primary: sa.Engine) -> None:
        self.engine = engine
        self._primary = primary
        self._next = 0.0
        self._looking = threading.Lock()
        self._replayed = 0
        self._fit: bool | None = None
        self._closed = False

    def fit(self, mark: int | None = None) -> bool:
        """Whether to read there now; with a `mark` (see `mark`), only when all before it is there.

        Never waits: a look that is due runs beside us, and its answer counts from the next time on.
        """
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY
            threading.Thread(target=self.look, name="replica", daemon=True).start()
        return bool(self._fit) and (mark is None or self._has(mark))

    def mark(self) -> int:
        """The primary's place in its log: all that is committed by now is before it. Raises what the driver does."""
        with self._primary.connect() as connection:
            return _place(connection.execute(ON_PRIMARY).one()[2])

    def failed(self, error: Exception) -> None:
        """A read there failed and goes to the primary; so do the next ones, until a look finds the replica well."""
        self._next = time.monotonic() + EVERY
        self._judge(State(problem=f"A read of the replica failed ({type(error).__name__}): it goes to the primary."))

    def look(self) -> State:
        """How it stands now, measured; decides whether it is read from now on."""
        with self._looking:
            try:
                standing = AWAY if self._closed else self._measured()
            except SQLAlchemyError:
                standing = AWAY
            self._judge(standing)
            return standing

    def close(self) -> None:
        """Wait for a look that runs, and let go of every connection."""
        with self._looking:
            self._closed = True
            self.engine.dispose()

    def _measured(self) -> State:
        with self._primary.connect() as primary:
            *who, mark = primary.execute(ON_PRIMARY).one()
        with self.engine.connect() as replica:
            *same, is_replica = replica.execute(ON_REPLICA).one()
            if who != same or not is_replica:
                return OTHER
            behind = self._behind(replica, _place(mark))
        if behind <= MAX_BEHIND:
            return State(behind)
        return State(behind, f"The read replica is {behind:.0f} s behind: reads go to the primary.")

    def _behind(self, replica: sa.Connection, mark: int) -> float:
        # The age of the last replayed transaction alone says "an hour" after an hour in which nothing happened.
        started = time.monotonic()
        while True:
            replayed, age = replica.execute(REPLAYED).one()
            self._replayed = _place(replayed)
            spent = time.monotonic() - started
            if self._replayed >= mark:
                return spent
            if spent > CATCH_UP:
                return max(spent, float(age or 0))
            time.sleep(0.02)

    def _has(self, mark: int) -> bool:
        if self._replayed < mark:
            try:
                with self.engine.connect() as replica:
                    self._replayed = _place(replica.execute(REPLAYED).one()[0])
            except SQLAlchemyError as error:
                self.failed(error)
                return False
        return self._replayed >= mark

    def _judge(self, standing: State) -> None:
        fit = standing.problem is None
        if fit != self._fit:
            log.log(
                logging.INFO if fit else logging.WARNING, standing.problem or "The read replica is read from now on."
            )
        self._fit = fit


def _place(lsn: str | None) -> int:
    """A place in the log as a number: `16/B374D848` is 0x16B374D848 (PostgreSQL: pg_lsn)."""
    high, _, low = (lsn or "0/0").partition("/")
    return (int(high, 16) << 32) + int(low, 16)
