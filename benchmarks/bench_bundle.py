"""Promise: a bundle is written in constant memory, and verified at tens of thousands of events a second on one core.

Makes a log of decisions, one in six of which a person ruled on, then measures (1) events a second into a bundle, and
the peak memory of that process for a small and a large log; (2) the same of `verify.py`, and (3) of *bare*: what no
verifier in Python can leave out (inflate, hash, and parse with the standard library), and nothing is checked; (4) the
size of a bundle for each event. Each is measured in a process of its own. Prints figures, asserts nothing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

from common import databases

from app.actions import audit, people, policies, reviews, types
from app.actions.bundles import bundle
from app.actions.decisions import Submission, submit_many
from app.actions.sessions import actor_of_key
from app.actions.verdicts import give_verdict
from app.domain.access import SYSTEM, Grant
from app.domain.notes import Signer
from app.domain.review import Action, Said
from app.store import schema
from app.store.db import Database
from app.store.decisions import Filters
from app.verifier import verify

HERE = Path(__file__).parent
TYPE = {
    "slug": "refund", "title": "Refunds", "owner": "Payments", "queue": "refunds", "rationale": "never",
    "outcomes": [{"key": "approve", "title": "Pay"}, {"key": "deny", "title": "Deny"}],
    "reason_codes": [], "guidance": "Look.", "input_schema": {"type": "object"},
}  # fmt: skip
POLICY = {
    "decision_type": "refund",
    "stakes": {"levels": ["low", "high"], "rules": [{"when": "input.amount_cents < 5000", "level": "low"}]},
    "thresholds": {"low": {"autonomous": 0.9, "review": 0.0}, "high": {"autonomous": "never", "review": 0.5}},
    "review": {"queue": "refunds", "sla": "4h", "reviewers": 1},
}  # fmt: skip
MEASURE = """
import re, sys, time
from pathlib import Path
started = time.process_time()
{}
peak = re.search("VmHWM:[^0-9]*([0-9]+)", Path("/proc/self/status").read_text())[1]
print(time.process_time() - started, peak)
"""
BARE = """
import json, zipfile
from hashlib import sha256
with zipfile.ZipFile({file!r}) as archive:
    for name in ("decisions.jsonl", "events.jsonl", "decisions.csv"):
        whole = sha256()
        for line in archive.open(name):
            whole.update(line)
            if name == "events.jsonl":
                sha256(line).digest()
            if name != "decisions.csv":
                json.loads(line)
"""
BUNDLE = "from bench_bundle import written; written({url!r}, {file!r})"
VERIFY = "import importlib.util as u; s = u.spec_from_file_location('v', {verify!r}); v = u.module_from_spec(s); " \
         "s.loader.exec_module(v); assert v.main([{file!r}]) == 0"  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=100_000)
    parser.add_argument("--engines", choices=("sqlite", "postgres", "both"), default="both")
    asked = parser.parse_args()
    sizes = {"small": asked.decisions // 10, "large": asked.decisions}
    with tempfile.TemporaryDirectory() as folder, databases(tuple(sizes), asked.engines) as found:
        for engine, urls in found.items():
            for name, count in sizes.items():
                fill(urls[name], count)
                report(f"{engine}, {name}", urls[name], str(Path(folder) / "bundle.zip"))


def fill(url: str, count: int) -> None:
    db = Database(url)
    schema.migrate(db)
    types.apply(db, SYSTEM, TYPE)
    policies.activate(db, SYSTEM, "refund", policies.draft(db, SYSTEM, "refund", POLICY)["version"])
    reviewer = people.add(db, SYSTEM, "r@example.org", "R", None, [Grant("reviewer", "*")])["id"]
    service = people.create_key(db, SYSTEM, "service", ["decisions:write"])["key"]
    mine = people.create_key(db, SYSTEM, "reviewer", ["reviews:write"], person_id=reviewer)["key"]
    actor = actor_of_key(db, mine, None)
    for first in range(0, count, 500):
        submit_many(db, [Submission(service, body(n), str(n)) for n in range(first, min(first + 500, count))])
    while isinstance(claimed := reviews.claim_next(db, actor), dict):
        give_verdict(db, actor, claimed["id"], claimed["lease"]["token"], Said(Action.APPROVE))
    while audit.seal(db, Signer("bench.example")):
        pass
    db.close()


def body(n: int) -> dict[str, Any]:
    return {
        "decision_type": "refund",
        "external_id": f"order-{n}",
        "subject": f"customer-{n % 1000}",
        "model": {"name": "refund-risk", "version": "3"},
        "proposal": {"outcome": "approve", "confidence": 0.95, "explanation": "The order never arrived."},
        "input": {"amount_cents": 9000 if n % 6 == 0 else n % 5000, "customer": {"id": n, "note": "twice late"}},
        "metadata": {"desk": "nord"},
    }


def written(url: str, file: str) -> None:
    """Write a bundle, as the command does."""
    db, signer = Database(url), Signer("bench.example")
    with open(file, "wb") as out:
        for chunk in bundle(db, SYSTEM, Filters(), signer, partial(audit.seal, db, signer)):
            out.write(chunk)
    db.close()


def report(name: str, url: str, file: str) -> None:
    told = {"bundle": BUNDLE.format(url=url, file=file), "verify": VERIFY.format(verify=verify.__file__, file=file)}
    found = {}
    for what, code in (told | {"bare": BARE.format(file=file)}).items():
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", MEASURE.format(code)], cwd=HERE, capture_output=True, text=True, check=True
        )
        seconds, memory = done.stdout.split("\n")[-2].split()
        found[what] = (float(seconds), time.perf_counter() - began, int(memory) / 1024)
    events, size = of_bundle(file)
    for what, (cpu, wall, memory) in found.items():
        print(
            f"{name}: {what}: {events:,} events, {events / wall:,.0f}/s, {events / cpu:,.0f}/s of CPU, {memory:.0f} MiB"
        )
    print(f"{name}: verify takes {found['verify'][0] / found['bare'][0]:.2f} x the CPU of bare")
    print(f"{name}: {size / 1e6:.1f} MB, {size / events:.0f} bytes an event")


def of_bundle(file: str) -> tuple[int, int]:
    with zipfile.ZipFile(file) as archive:
        return int(json.loads(archive.read("manifest.json"))["counts"]["events"]), Path(file).stat().st_size


if __name__ == "__main__":
    main()
