"""What export, verify, doctor and the demonstration promise."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from app.commands import demo
from app.commands._service import bodies
from app.domain.decision_type import input_faults, parse_decision_type
from app.store import decisions
from app.store.db import Database
from app.worker import run_once
from tests.cli.conftest import MAPS, ROWS, Handrail, submitted, written
from tests.factories import House


@pytest.fixture
def record(handrail: Handrail, server: str, house: House, here: str, tmp_path: Path) -> Path:
    """An export of four decisions, one of them final."""
    file = written(tmp_path / "rows.csv", ROWS.replace("999999999999999999999", "12"))
    submitted(handrail, server, house, file, *MAPS)
    out = tmp_path / "record.jsonl"
    assert 0 == handrail("export", "decisions", "--out", out)[0]
    return out


def test_an_export_is_sound_and_keeps_to_its_filters(handrail: Handrail, record: Path, tmp_path: Path) -> None:
    assert (0, "3 decisions, sound.\n", "") == handrail("verify", record)
    for args, lines in ((("--type", "other"), 0), (("--from", "2999-01-01"), 0), (("--to", "2999-01-01"), 3)):
        assert 0 == handrail("export", "decisions", "--out", record, *args)[0]
        assert lines == len(record.read_bytes().splitlines())
    table = tmp_path / "record.csv"
    assert 0 == handrail("export", "decisions", "--format", "csv", "--out", table)[0]
    assert 4 == len(table.read_text(encoding="utf-8").splitlines())


def _change(**values: Any) -> Callable[[str], str]:
    return lambda line: json.dumps(json.loads(line) | values) + "\n"


def _without(name: str) -> Callable[[str], str]:
    return lambda line: json.dumps({key: value for key, value in json.loads(line).items() if key != name}) + "\n"


TAMPERED: dict[str, tuple[Callable[[str], str], str]] = {
    "twice": (lambda line: line + line, "twice"),
    "cut off": (lambda line: line[:-20], "cut off"),
    "not JSON": (lambda line: "{\n", "strict JSON"),
    "a key twice": (lambda line: '{"id": "x",' + line[1:], "strict JSON"),
    "not an object": (lambda line: "7\n", "not a decision"),
    "no outcome": (_without("outcome"), "outcome"),
    "final without an outcome": (_change(outcome=None), "does not fit its outcome"),
    "pending with an end": (_change(status="pending"), "final_at"),
    "another outcome": (_change(outcome="deny"), "did not propose"),
    "ended too soon": (_change(final_at="1999-01-01T00:00:00.000000Z"), "before it began"),
    "nobody's verdict": (_change(decided_by="reviewer", tier="review_required"), "no reviewer gave"),
    "unknown tier": (_change(tier="magic"), "none that Handrail knows"),
    "reviews of the wrong kind": (_change(reviews=[7]), "reviews"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_record_that_was_changed_is_found(name: str, handrail: Handrail, record: Path) -> None:
    change, words = TAMPERED[name]
    final, *rest = record.read_text(encoding="utf-8").splitlines(keepends=True)
    record.write_text("".join(rest) + change(final), encoding="utf-8")
    code, out, err = handrail("verify", record)
    assert (1, "") == (code, out)
    assert words in err


def test_a_file_that_is_no_export_in_jsonl_is_refused_in_one_sentence(handrail: Handrail, tmp_path: Path) -> None:
    code, out, err = handrail("verify", written(tmp_path / "record.csv", "id,type\n1,refund\n2,refund\n"))
    assert (1, "", 1) == (code, out, len(err.splitlines()))
    assert "JSONL" in err


def test_doctor_says_what_is_wrong_and_how_to_mend_it(
    handrail: Handrail, here: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HANDRAIL_SECRET_KEY")
    code, out, err = handrail("doctor")
    assert (1, "") == (code, out)
    assert "HANDRAIL_SECRET_KEY" in err
    assert "handrail worker" in err
    monkeypatch.setenv("HANDRAIL_SECRET_KEY", "s" * 40)
    run_once(db)
    code, out, err = handrail("doctor")
    assert (0, "All is well, but for what the warnings say") == (code, out.partition(":")[0])
    assert "handrail key create-signing" in err
    _, vkey, _ = handrail("key", "create-signing", "signing.key")
    assert vkey
    monkeypatch.setenv("HANDRAIL_SIGNING_KEY_FILE", "signing.key")
    assert (0, "All is well: settings, database, schema, worker and clock.\n", "") == handrail("doctor")


def test_the_sample_policies_fit_their_types_and_what_the_simulation_sends(db: Database) -> None:
    demo.furnish(db)
    types = {slug: parse_decision_type(demo._sample(f"{slug}.yaml")) for slug in demo.SAMPLES}
    sent = list(islice(bodies(7), 300))
    assert set(demo.SAMPLES) == {body["decision_type"] for body in sent}
    assert [] == [fault for body in sent for fault in input_faults(types[body["decision_type"]], body["input"])]
    assert sent == list(islice(bodies(7), 300))


def test_a_bundle_is_written_and_verified_and_one_byte_more_is_found(
    handrail: Handrail, here: str, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, vkey, _ = handrail("key", "create-signing", "signing.key", "--origin", "log.example")
    monkeypatch.setenv("HANDRAIL_ORIGIN", "log.example")
    monkeypatch.setenv("HANDRAIL_SIGNING_KEY_FILE", str(tmp_path / "signing.key"))
    assert (0, "") == handrail("export", "bundle", "--out", "one.zip")[:2]
    (tmp_path / "old.txt").write_bytes(zipfile.ZipFile(tmp_path / "one.zip").read("checkpoint.txt"))
    assert 0 == handrail("export", "bundle", "--since", "old.txt", "--out", "two.zip")[0]
    code, said, _ = handrail("verify", "two.zip", "--key", vkey.strip(), "--since", "old.txt")
    assert (0, True, True) == (code, "still begins" in said, "Nothing is missing" in said)
    (tmp_path / "two.zip").write_bytes((tmp_path / "two.zip").read_bytes() + b"\n")
    code, _, wrong = handrail("verify", "two.zip")
    assert (1, True) == (code, "The zip has no end" in wrong)
    assert 2 == handrail("verify", "old.txt", "--key", vkey.strip())[0]
    assert [] == list(tmp_path.glob("*.part"))


def test_a_bundle_with_parquet_is_verified_and_without_pyarrow_one_sentence_says_what_to_install(
    handrail: Handrail, here: str, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pyarrow", None)
        sentence = "Parquet needs pyarrow, which is not there: `pip install 'handrail[parquet]'`.\n"
        assert (1, "", sentence) == handrail("export", "bundle", "--parquet", "--out", "one.zip")
        assert [] == list(tmp_path.glob("*.zip*"))
        assert 0 == handrail("export", "bundle", "--out", "one.zip")[0]
    events = zipfile.ZipFile(tmp_path / "one.zip").read("events.jsonl")
    assert 0 == events.count(b"export.started"), "what was refused is no event"
    pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    assert 0 == handrail("export", "bundle", "--parquet", "--out", "two.zip")[0]
    code, said, _ = handrail("verify", "two.zip")
    assert (0, True) == (code, "its content was not read" in said)


@pytest.mark.slow
def test_the_demonstration_fills_the_queue_and_ends_well(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "app", "demo", "--port", str(port)]
    with subprocess.Popen(command, cwd=tmp_path, env=env, text=True, stdout=subprocess.PIPE) as process:
        assert process.stdout
        said = "".join(islice(process.stdout, 11))
        process.send_signal(signal.SIGINT)
    assert 0 == process.returncode
    assert f"http://127.0.0.1:{port}/" in said
    assert 5 == len(re.findall(r"@demo\.example +\S{16}\n", said))
    db = Database(f"sqlite:///{tmp_path / 'var' / 'demo.db'}")
    with db.read() as tx:
        assert "demo-ai-service" == decisions.page(tx, decisions.Filters(), after=None, limit=1)[0].service
    db.close()


def test_every_command_explains_itself(handrail: Handrail) -> None:
    for args in ([], ["type", "apply"], ["policy", "apply"], ["user", "add"], ["key", "create"], ["submit"], ["serve"]):
        code, out, _ = handrail(*args, "--help")
        assert 0 == code
        assert "Usage" in out
