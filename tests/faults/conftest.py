"""Owns how much is broken (HANDRAIL_FAULTS=full, else little), the sites to break, and the table at the end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.faults.site import FULL, Site

Report = Callable[..., None]
NewSite = Callable[..., Site]


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of each fault; seconds where a name says so."""

    kills: int = 50 if FULL else 2
    stops: int = 12 if FULL else 1
    rounds: int = 200 if FULL else 2
    claimers: int = 500 if FULL else 40
    fences: int = 20 if FULL else 1
    clock_decisions: int = 400 if FULL else 10
    apps: int = 2 if FULL else 1
    twins: int = 100
    cuts: int = 40 if FULL else 4
    network_rounds: int = 5 if FULL else 1
    frozen_seconds: float = 3
    soon: float = 10 if FULL else 30  # seconds until it works again; a machine busy with other tests gets more
    delay_seconds: float = 1 if FULL else 0.02  # each way
    delayed_seconds: float = 20 if FULL else 0.3
    images: int = 60 if FULL else 4
    restarts: int = 20 if FULL else 1
    contenders: int = 64 if FULL else 24
    contention_seconds: float = 60 if FULL else 2
    seeds: int = 20 if FULL else 1


@pytest.fixture(scope="session")
def amount() -> Amount:
    return Amount()


@pytest.fixture
def new_site(tmp_path: Path) -> Iterator[NewSite]:
    """Makes sites on a database URL, and ends their processes."""
    made: list[Site] = []

    def make(url: str, **options: Any) -> Site:
        made.append(Site(url, tmp_path, **options))
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture
def site(new_site: NewSite, database_url: str) -> Site:
    """A site on each engine in turn."""
    return new_site(database_url)


@pytest.fixture
def report(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Report:
    """Puts numbers into the table: report("kill -9", kills=50, missing=0)."""
    called = getattr(request.node, "callspec", None)
    engine = called.params.get("database_url", "") if called else ""

    def tell(scenario: str, engine: str = engine, **numbers: object) -> None:
        told = ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in numbers.items())
        record_property("fault", (scenario, engine, told))

    return tell


def _plain(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.faults)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not FULL:
        return
    rows = [
        (*told, "holds" if report.passed else "BROKEN")
        for kind in ("passed", "failed")
        for report in terminalreporter.stats.get(kind, [])
        for name, told in getattr(report, "user_properties", ())
        if name == "fault"
    ]
    terminalreporter.section("faults")
    for scenario, engine, told, end in sorted(rows):
        terminalreporter.write_line(f"{scenario:<34} {engine:<9} {end:<7} {told}")
