"""SQLite on a full disk, and copies of its files out of the middle of everything, as a power cut leaves them."""

import random
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from app.store.db import Database
from tests.faults import history, servers
from tests.faults.clients import Answer, Call, Submitter, submission
from tests.faults.conftest import Amount, NewSite, Report
from tests.faults.site import Site

ROOM = 8 << 20  # bytes of the small disk


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A file system of 8 MiB where we may mount one; whether we may."""
    folder.mkdir()
    command = ("mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder))
    mounted = shutil.which("mount") and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield bool(mounted)
    finally:
        if mounted:
            subprocess.run(("umount", "--lazy", str(folder)), check=True)


def test_a_full_disk_is_503_and_heals_by_itself(
    tmp_path: Path, sqlite_url: str, new_site: NewSite, amount: Amount, report: Report
) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk) as mounted:
        if not mounted:
            pytest.skip("needs the right to mount a small file system")
        shutil.copy(sqlite_url.removeprefix("sqlite:///"), disk / "handrail.db")
        site = new_site(f"sqlite:///{disk}/handrail.db")
        refused, read, watched, healed = _fill_and_free(site, disk / "ballast", amount)
        broken = site.faults()
        site.close()
    report(
        "SQLite disk full", "sqlite", acknowledged=site.acknowledged("submit"), refused_503=len(refused),
        reads_meanwhile=len(read), healed_s=healed, faults=len(broken),
    )  # fmt: skip
    assert ({503}, {200}, []) == ({a.status for a in refused}, {a.status for a in read}, broken)
    # What an auditor reads is an event first: nothing is shown to them that is not recorded.
    assert [503, 200] == [answer.status for answer in watched]


def _fill_and_free(site: Site, ballast: Path, amount: Amount) -> tuple[list[Answer], list[Answer], list[Answer], float]:
    port = site.app().port
    with site.loaded([port], submitters=1, pace=0.2):
        site.await_progress(5, 1)
        _fill(ballast)
        service = site.submitter(port)
        refused = [_until_refused(service), *(service.submit(_large(f"full-{n}")).answer for n in range(3))]
        read = [site.door(port, "rev0").ask("GET", "/decisions") for _ in range(6)]
        watched = [site.door(port, "auditor").ask("GET", "/events")]
        ballast.unlink()
        healed = site.await_progress(1, 1, within=amount.soon)
        watched.append(site.door(port, "auditor").ask("GET", "/events"))
    return refused, read, watched, healed


def _fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            return


def _until_refused(service: Submitter) -> Answer:
    for number in range(300):  # what is free inside the database's own files goes first
        answer = service.submit(_large(f"fill-{number}")).answer
        if answer.status != 201:
            return answer
    raise AssertionError("the disk is never full")


def _large(mark: str) -> dict[str, object]:
    return submission(mark) | {"metadata": {"filling": random.randbytes(30_000).hex()}}


def test_every_image_of_the_files_is_whole_and_holds_what_was_acknowledged(
    tmp_path: Path, sqlite_url: str, new_site: NewSite, amount: Amount, report: Report
) -> None:
    site = new_site(sqlite_url)
    app = site.app()
    broken, rows = [], 0
    with site.loaded([app.port]):
        for number in range(amount.images):
            site.await_progress(3)
            time.sleep(random.uniform(0, 0.1))
            told = [call for call in site.record.calls if call.done]
            image = _image(app.pid, site, tmp_path / f"image-{number}", torn=number % 2 == 1)
            found, held = _look_at(image, told)
            broken += found
            rows += held
    broken += site.faults()
    report("SQLite crash images", "sqlite", images=amount.images, rows_looked_for=rows, faults=len(broken))
    assert [] == broken


def _image(pid: int, site: Site, folder: Path, *, torn: bool) -> Path:
    """Database and WAL as they are at one instant; a `torn` one ends in frames that never were whole."""
    folder.mkdir()
    source = Path(str(site.db.url.database))
    servers.pause(pid)
    for end in ("", "-wal"):
        shutil.copy(f"{source}{end}", folder / f"handrail.db{end}")
    servers.resume(pid)
    if torn:
        with (folder / "handrail.db-wal").open("ab") as wal:
            wal.write(random.randbytes(random.randrange(1, 20_000)))
    return folder / "handrail.db"


def _look_at(image: Path, told: list[Call]) -> tuple[list[str], int]:
    """What is wrong with an image, and how many acknowledged rows were looked for."""
    with closing(sqlite3.connect(image)) as raw:
        found = [f"integrity: {row[0]}" for row in raw.execute("PRAGMA integrity_check") if row[0] != "ok"]
        found += [f"foreign key: {row}" for row in raw.execute("PRAGMA foreign_key_check")]
    db = Database(f"sqlite:///{image}")
    held = history.read(db)
    db.close()
    marks, spoken = {row.subject for row in held.decisions.values()}, {row.review_id for row in held.verdicts}
    decisions = {call.asked["subject"] for call in told if call.verb == "submit"}
    verdicts = {call.asked["review"] for call in told if call.verb == "verdict"}
    found += [f"{image} misses {one}" for one in (decisions - marks) | (verdicts - spoken)]
    return found + history.whole(held), len(decisions) + len(verdicts)
