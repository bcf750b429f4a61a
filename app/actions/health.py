"""Owns the answer to: is this installation fit to serve? Must not raise; what is wrong becomes a sentence."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from app.domain.errors import HandrailError
from app.store import schema, stats
from app.store.db import Database, ReadTx, reads

WORKER_SEEN = timedelta(seconds=60)


def readiness(db: Database) -> dict[str, Any]:
    """`{database, schema, worker, problems: [sentences]}`; the first three are booleans.

    Where there is a read replica, also `replica: {behind, problem}`: seconds, and why it is not read. That is no
    problem of ours, since reads then go to the primary.
    """
    try:
        found = _look(db)
    except HandrailError as error:
        found = {"database": False, "schema": False, "worker": False, "problems": [error.detail]}
    return found | ({"replica": asdict(db.replica.look())} if db.replica else {})


@reads
def _look(tx: ReadTx) -> dict[str, Any]:
    revision, head = schema.current(tx), schema.head()
    if revision != head:
        sentence = f"The schema is at {revision or 'nothing'}, this program needs {head}: run `handrail migrate`."
        return {"database": True, "schema": False, "worker": False, "problems": [sentence]}
    beat = stats.last_beat(tx)
    alive = beat is not None and tx.now() - beat < WORKER_SEEN
    seen = "never seen" if beat is None else f"last seen {beat:%Y-%m-%d %H:%M:%S} UTC"
    problems = [] if alive else [f"The worker was {seen}: run `handrail worker`, or serve without --no-worker."]
    return {"database": True, "schema": True, "worker": alive, "problems": problems}
