"""Owns what Prometheus is told: counts and latencies, and the queues as the database has them now.

Under `serve --workers N` the counts are those of all processes together, dead ones too: ADR 0009.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from app.actions.operations import log_state, set_aside_counts
from app.actions.reading import queue_stats
from app.actions.upkeep import Duty
from app.domain.errors import Unavailable
from app.store.db import Database
from app.store.tree import State

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the name is prometheus_client's, which looks at it when it is imported
FINE = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """One per app, with its own registry. Where processes share a folder, the registry reads what all have counted."""

    def __init__(self, db: Database) -> None:
        self.registry = CollectorRegistry()
        shared = os.environ.get(SHARED_FOLDER)
        own = None if shared else self.registry
        if shared:
            MultiProcessCollector(self.registry, shared)  # type: ignore[no-untyped-call]
        self.decisions = Counter(
            "handrail_decisions", "Decisions taken in, by type and tier.", ["decision_type", "tier"],
            registry=own,
        )  # fmt: skip
        self.verdicts = Counter("handrail_verdicts", "Verdicts given, by action.", ["action"], registry=own)
        self.submit_seconds = Histogram(
            "handrail_submit_seconds", "From the body to the answer of a submission.", buckets=FINE,
            registry=own,
        )  # fmt: skip
        self.claim_seconds = Histogram("handrail_claim_seconds", "How long a claim takes.", buckets=FINE, registry=own)
        self.registry.register(_FromTheDatabase(db))

    def text(self) -> bytes:
        """The exposition format 0.0.4."""
        return generate_latest(self.registry)


class _FromTheDatabase(Collector):
    """Read when asked for; left out while the database is away, so that the rest is still told."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("handrail_reviews_waiting", "Open reviews, by queue.", labels=["queue"])
        oldest = GaugeMetricFamily(
            "handrail_reviews_oldest_seconds", "Age of the oldest open review, by queue.", labels=["queue"]
        )
        late = GaugeMetricFamily("handrail_reviews_late", "Open reviews past their due time.", labels=["queue"])
        aside = GaugeMetricFamily(
            "handrail_set_aside", "Rows that background work could not process, by duty.", labels=["duty"]
        )
        try:
            rows, kept, log = queue_stats(self._db), set_aside_counts(self._db), log_state(self._db)
        except Unavailable:
            return
        now = datetime.now(UTC) + self._db.offset
        for row in rows:
            waiting.add_metric([row["queue"]], row["open"])
            oldest.add_metric([row["queue"]], max(0.0, (now - row["oldest"]).total_seconds()))
            late.add_metric([row["queue"]], row["late"])
        for duty in Duty:
            aside.add_metric([duty.value], kept.get(duty, 0))
        yield from (waiting, oldest, late, aside, *_of_the_log(log))


def _of_the_log(log: State) -> Iterator[Metric]:
    for name, about, value in (
        ("handrail_log_size", "Events in the audit tree.", log.size),
        ("handrail_log_signed", "Events under the newest checkpoint.", log.signed),
        ("handrail_log_sealed_timestamp_seconds", "When the tree last grew.", _seconds(log.sealed_at)),
        ("handrail_unsealed", "Events that wait for the sealer.", log.waiting),
        ("handrail_unsealed_oldest_seconds", "For how long the oldest of them waits.", log.late),
        ("handrail_unsigned_oldest_seconds", "Age of the oldest event sealed and not signed for.", log.unsigned),
    ):
        yield GaugeMetricFamily(name, about, value=value)


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0
