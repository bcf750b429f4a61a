"""Owns what operators see: workers, schema, database, queues, duties, rows set aside. Changes nothing."""

from datetime import timedelta
from typing import Any

from app.domain.access import Actor, Permission
from app.store import duties, schema, stats, tree
from app.store.db import ReadTx, reads

WORKER_SEEN = timedelta(seconds=60)
LISTED = 100


@reads
def overview(tx: ReadTx, actor: Actor) -> dict[str, Any]:
    """`{workers, schema, size, queues, duties, aside, log, pushes, aside_count}`; `size` in bytes. Raises Forbidden."""
    actor.must(Permission.OPERATE)
    return {
        "workers": [
            {"name": row.worker, "seen_at": row.seen_at, "alive": tx.now() - row.seen_at < WORKER_SEEN}
            for row in duties.workers(tx)
        ],
        "schema": {"at": schema.current(tx), "head": schema.head()},
        "size": tx.size(),
        "queues": [
            {"slug": one.queue, "open": int(one.open), "oldest": one.oldest, "late": int(one.late)}
            for one in stats.queues(tx)
        ],
        "duties": [dict(row._mapping) for row in duties.runs(tx)],
        "aside": [dict(row._mapping) for row in duties.aside(tx, LISTED)],
        "log": tree.state(tx),
        "pushes": [dict(row._mapping) for row in tree.pushes(tx)],
        "aside_count": sum(duties.aside_counts(tx).values()),
    }


@reads
def log_state(tx: ReadTx) -> tree.State:
    """How the audit tree stands."""
    return tree.state(tx)


@reads
def set_aside_counts(tx: ReadTx) -> dict[str, int]:
    """How many rows each duty has set aside; duties without any are left out."""
    return duties.aside_counts(tx)
