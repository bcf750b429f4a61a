"""Owns the answer to: is this installation fit to serve? Must not raise; what is wrong becomes a sentence."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from app.domain.errors import HandrailError
from app.store import schema, stats, tree
from app.store.db import Database, ReadTx, reads

WORKER_SEEN = timedelta(seconds=60)
SEALED_WITHIN = timedelta(seconds=60)


def readiness(db: Database, *, signs: bool) -> dict[str, Any]:
    """`{database, schema, worker, problems: [sentences], warnings: [sentences]}`; the first three are booleans.

    `signs` says whether there is a signing key. Warnings are about the audit tree (`log: {size, signed, waiting}`) and
    do not make an installation unfit. Where there is a read replica, also `replica: {behind, problem}`: seconds, and
    why it is not read. That is no problem of ours, since reads then go to the primary.
    """
    try:
        found = _look(db, signs)
    except HandrailError as error:
        found = {"database": False, "schema": False, "worker": False, "problems": [error.detail], "warnings": []}
    return found | ({"replica": asdict(db.replica.look())} if db.replica else {})


@reads
def _look(tx: ReadTx, signs: bool) -> dict[str, Any]:
    revision, head = schema.current(tx), schema.head()
    if revision != head:
        sentence = f"The schema is at {revision or 'nothing'}, this program needs {head}: run `handrail migrate`."
        return {"database": True, "schema": False, "worker": False, "problems": [sentence], "warnings": []}
    beat = stats.last_beat(tx)
    alive = beat is not None and tx.now() - beat < WORKER_SEEN
    seen = "never seen" if beat is None else f"last seen {beat:%Y-%m-%d %H:%M:%S} UTC"
    problems = [] if alive else [f"The worker was {seen}: run `handrail worker`, or serve without --no-worker."]
    log = tree.state(tx)
    return {
        "database": True,
        "schema": True,
        "worker": alive,
        "problems": problems,
        "warnings": log_warnings(log, signs),
        "log": {"size": log.size, "signed": log.signed, "waiting": log.waiting},
    }


@reads
def log_problems(tx: ReadTx) -> list[str]:
    """What the trigger that queues every event for the sealer, and those against changes, cannot have let happen."""
    astray = tree.astray(tx)
    if astray > 0:
        return [f"{astray} events neither are sealed nor wait for it, so nobody will: somebody changed the database. "
                "docs/operations.md says how to put them back."]  # fmt: skip
    return [f"{-astray} sealed events are gone: somebody changed the database."] if astray else []


def log_warnings(log: tree.State, signs: bool) -> list[str]:
    """What is not as it should be with the audit tree, and how to mend it."""
    found = []
    if log.late > SEALED_WITHIN.total_seconds():
        found.append(f"Nobody seals: {log.waiting} events wait, the oldest for {log.late:.0f} s. Is a worker running?")
    if not signs:
        found.append("Checkpoints are not signed: make a key with `handrail key create-signing FILE`, and set "
                     "HANDRAIL_SIGNING_KEY_FILE.")  # fmt: skip
    elif log.unsigned > SEALED_WITHIN.total_seconds():
        found.append(f"Nobody signs: {log.size} events are sealed, {log.signed} signed for. Has the worker the key?")
    return found
