"""What scripts may rely on: every command, its exit code, what it prints, and one plain sentence when it fails."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from structlog.testing import capture_logs

from app.actions import policies
from app.cli import run
from app.commands import demo
from app.commands._service import bodies
from app.domain.access import SYSTEM
from app.domain.decision_type import input_faults, parse_decision_type
from app.main import create_app
from app.store import decisions, schema
from app.store.db import Database
from app.worker import run_once
from tests.conftest import settings_for
from tests.factories import POLICY, REFUND, House

Handrail = Callable[..., tuple[int, str, str]]
KEY = re.compile(r"hr_[a-z0-9]{8}_[A-Za-z0-9_-]{43}\n")


@pytest.fixture
def handrail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Handrail:
    """Runs a command line in a folder of its own: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HANDRAIL_SECRET_KEY", "s" * 40)

    def command(*args: Any) -> tuple[int, str, str]:
        code = run([str(one) for one in args])
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


@pytest.fixture
def here(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both databases in turn, named by the environment."""
    monkeypatch.setenv("HANDRAIL_DATABASE_URL", database_url)
    return database_url


@pytest.fixture
def server(db: Database, database_url: str) -> Iterator[str]:
    """The address of a server that really listens, on both databases in turn."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(settings_for(database_url), database=db), log_config=None)
    one = uvicorn.Server(config)
    thread = threading.Thread(target=one.run, kwargs={"sockets": [listener]})
    with capture_logs():
        thread.start()  # the socket listens already, so that nobody has to wait
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        one.should_exit = True
        thread.join()
    listener.close()


def written(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_from_nothing_to_a_key_that_submits(handrail: Handrail, here: str, db: Database, tmp_path: Path) -> None:
    refund = written(tmp_path / "refund.yaml", dict(REFUND))
    policy = written(tmp_path / "policy.yaml", dict(POLICY))
    assert (0, f"The schema is at {schema.head()}.\n", "") == handrail("migrate")
    assert (0, "refund created, revision 1\n", "") == handrail("type", "apply", refund)
    assert (0, "refund unchanged, revision 1\n", "") == handrail("type", "apply", refund)
    assert 0 == handrail("policy", "validate", policy)[0]
    assert (0, "1\n", "") == handrail("policy", "apply", policy)
    assert (0, "2\n", "") == handrail("policy", "apply", policy, "--activate")
    code, key, _ = handrail("key", "create", "agent", "--scope", "decisions:write", "--scope", "decisions:read")
    assert 0 == code
    assert KEY.fullmatch(key)


def test_a_person_gets_a_password_from_standard_input_and_a_key_may_act_as_them(
    handrail: Handrail, here: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO("correct horse battery\n"))
    assert 0 == handrail("user", "add", "ada@example.org", "--role", "reviewer", "--password-stdin")[0]
    code, key, _ = handrail("key", "create", "ada-cli", "--scope", "reviews:write", "--user", "ADA@example.org")
    assert 0 == code
    assert KEY.fullmatch(key)


WRONG = {
    "no such command": (2, ["frobnicate"], "No such command"),
    "port is no number": (2, ["serve", "--port", "x"], "--port"),
    "port out of range": (2, ["serve", "--port", "70000"], "--port"),
    "scope left out": (2, ["key", "create", "a"], "--scope"),
    "file is not there": (2, ["policy", "validate", "nothing.yaml"], "nothing.yaml"),
    "date is none": (2, ["export", "decisions", "--out", "x", "--from", "yesterday"], "2026-11-24"),
    "format is none": (2, ["export", "decisions", "--out", "x", "--format", "xml"], "--format"),
    "folder is not there": (1, ["export", "decisions", "--out", "nowhere/x"], "No such file or directory"),
    "scope is none": (1, ["key", "create", "a", "--scope", "everything"], "decisions:write"),
    "person is unknown": (1, ["key", "create", "a", "--scope", "admin", "--user", "n@x"], "handrail user add"),
    "e-mail is none": (1, ["user", "add", "ada", "--role", "reviewer"], "ada@example.org"),
    "role is none": (1, ["user", "add", "ada@example.org", "--role", "queen"], "reviewer"),
    "type is unknown": (1, ["user", "add", "a@example.org", "--role", "lead", "--type", "x"], "decision type"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_plain_sentence(name: str, handrail: Handrail, here: str) -> None:
    expected, args, words = WRONG[name]
    code, out, err = handrail(*args)
    assert (expected, "") == (code, out)
    assert words in err
    assert 1 == len(err.splitlines())
    assert "Traceback" not in err


def test_settings_that_are_wrong_are_named(handrail: Handrail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANDRAIL_POOL_SIZE", "many")
    code, _, err = handrail("migrate")
    assert 1 == code
    assert err.startswith("HANDRAIL_POOL_SIZE: ")


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "sqlite://"])
def test_a_database_that_we_do_not_speak_to_is_refused(
    url: str, handrail: Handrail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDRAIL_DATABASE_URL", url)
    code, out, err = handrail("migrate")
    assert (1, "", 1) == (code, out, len(err.splitlines()))


def test_without_a_schema_every_command_says_migrate(handrail: Handrail) -> None:
    for args in (["key", "create", "a", "--scope", "admin"], ["export", "decisions", "--out", "x"]):
        code, out, err = handrail(*args)
        assert (1, "") == (code, out)
        assert "handrail migrate" in err


def test_serve_needs_a_secret(handrail: Handrail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HANDRAIL_SECRET_KEY")
    code, _, err = handrail("serve")
    assert 1 == code
    assert "HANDRAIL_SECRET_KEY is not set" in err


def test_sqlite_refuses_more_processes_than_one(handrail: Handrail) -> None:
    code, _, err = handrail("serve", "--workers", "2")
    assert (1, "SQLite serves with one process; use PostgreSQL for --workers above 1.\n") == (code, err)


def test_postgresql_is_not_served_before_it_is_migrated(
    handrail: Handrail, fresh_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDRAIL_DATABASE_URL", fresh_postgres_url)
    db = Database(fresh_postgres_url)
    schema.migrate(db, "base")
    db.close()
    for command in ("serve", "worker"):
        code, _, err = handrail(command)
        assert 1 == code
        assert "handrail migrate" in err


def test_serve_says_when_the_port_is_taken(handrail: Handrail) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = handrail("serve", "--port", port)
    assert (1, f"Cannot listen at 127.0.0.1, port {port}: address already in use.\n") == (code, err)


BROKEN = {
    "not YAML": (": : :\n  - [", {"/"}),
    "empty": ("", {"/"}),
    "a list": ("[1, 2]", {"/"}),
    "two faults": (
        json.dumps({**POLICY, "sample": {"rate": 2}, "colour": "red"}),
        {"/sample/rate", "/colour"},
    ),
    "unknown name": (
        json.dumps({**POLICY, "rules": [{"name": "a", "when": "inptu.x", "at_least": "review_required"}]}),
        {"/rules/0/when"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_policy_is_told_fault_by_fault_and_changes_nothing(
    name: str, handrail: Handrail, here: str, house: House, tmp_path: Path
) -> None:
    text, pointers = BROKEN[name]
    file = written(tmp_path / "policy.yaml", text)
    for command in ("validate", "apply"):
        code, out, err = handrail("policy", command, file)
        assert (2, "") == (code, out)
        assert pointers == {line.partition(": ")[0] for line in err.splitlines()}
    assert [1] == [one["version"] for one in policies.versions(house.db, SYSTEM, "refund")]


def test_validate_holds_a_policy_against_the_type_that_is_at_hand(
    handrail: Handrail, here: str, house: House, tmp_path: Path
) -> None:
    review = {**POLICY["review"], "expires_after": "1d", "on_expiry": {"outcome": "approve"}}
    file = written(tmp_path / "policy.yaml", {**POLICY, "review": review})
    code, _, err = handrail("policy", "validate", file)
    assert 2 == code
    assert err.startswith("/review/on_expiry/outcome: ")


def test_validate_needs_no_database_and_makes_none(handrail: Handrail, tmp_path: Path) -> None:
    file = written(tmp_path / "policy.yaml", dict(POLICY))
    code, out, err = handrail("policy", "validate", file)
    assert 0 == code
    assert "is sound" in out
    assert "outcomes were not checked" in err
    assert [file] == list(tmp_path.iterdir())


ROWS = """id,verdict,score,amount_cents,note,truth
a,approve,0.95,4900,"says ""hello"", twice",x
b,approve,0.7,12900,007,x
c,deny,,999999999999999999999,1e400,x
"""
MAPS = ("--map", "outcome=verdict", "--map", "confidence=score", "--map", "external_id=id", "--drop", "truth")


def submitted(handrail: Handrail, server: str, house: House, file: Path, *more: str) -> tuple[int, dict[str, int], str]:
    args = ("--type", "refund", "--url", server, "--key", house.keys["service"])
    code, out, err = handrail("submit", file, *args, *more)
    return code, {line.split()[0]: int(line.split()[1]) for line in out.splitlines()}, err


def test_a_file_is_submitted_once_however_often_it_is_sent(
    handrail: Handrail, server: str, house: House, tmp_path: Path
) -> None:
    file = written(tmp_path / "rows.csv", ROWS.replace("999999999999999999999", "12"))
    tiers = {"autonomous": 1, "review_required": 1, "human_decides": 1}
    assert (0, {**tiers, "new": 3, "known": 0, "refused": 0}) == submitted(handrail, server, house, file, *MAPS)[:2]
    assert (0, {**tiers, "new": 0, "known": 3, "refused": 0}) == submitted(handrail, server, house, file, *MAPS)[:2]
    stored = inputs(house.db)
    assert {"amount_cents": 4900, "note": 'says "hello", twice'} == stored["a"]
    assert {"amount_cents": 12900, "note": "007"} == stored["b"]
    assert {"amount_cents": 12, "note": "1e400"} == stored["c"]


def inputs(db: Database) -> dict[str, Any]:
    with db.read() as tx:
        return {
            row.external_id: json.loads(row.input)
            for row in decisions.page(tx, decisions.Filters(), after=None, limit=100)
        }


def test_a_row_that_is_refused_is_told_and_the_others_stand(
    handrail: Handrail, server: str, house: House, tmp_path: Path
) -> None:
    file = written(tmp_path / "rows.csv", ROWS)
    code, counts, err = submitted(handrail, server, house, file, *MAPS)
    assert (1, 2, 1) == (code, counts["new"], counts["refused"])
    assert "decision 3: " in err
    assert "/input/amount_cents" in err


def test_rows_without_an_external_id_are_known_again_and_equal_rows_are_not_lost(
    handrail: Handrail, server: str, house: House, tmp_path: Path
) -> None:
    row = json.dumps({"outcome": "approve", "confidence": 0.9, "amount_cents": 100})
    file = written(tmp_path / "rows.jsonl", f"{row}\n{row}\n")
    assert 2 == submitted(handrail, server, house, file, "--model", "risk@3")[1]["new"]
    assert 2 == submitted(handrail, server, house, file, "--model", "risk@3")[1]["known"]
    with house.db.read() as tx:
        models = {
            (row.model_name, row.model_version) for row in decisions.page(tx, decisions.Filters(), after=None, limit=9)
        }
    assert {("risk", "3")} == models


UNREADABLE = {
    "a cell too many": ("rows.csv", "outcome,amount_cents\napprove,1\napprove,1,2\n", "Row 2 has 3 cells"),
    "an open quote": ("rows.csv", 'outcome,amount_cents\napprove,"1\n', "not CSV"),
    "no outcome": ("rows.csv", "verdict,amount_cents\napprove,1\n", "no column outcome"),
    "a column twice": ("rows.csv", "outcome,outcome\napprove,1\n", "twice"),
    "not JSON": ("rows.jsonl", '{"outcome": "approve"}\n{"outcome"\n', "Row 2 is not strict JSON"),
    "a key twice": ("rows.jsonl", '{"outcome": "approve", "outcome": "deny"}\n', "Row 1 is not strict JSON"),
    "not an object": ("rows.jsonl", "[1]\n", "Row 1 is not a JSON object"),
    "another kind": ("rows.parquet", "PAR1", ".csv or .jsonl"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_cannot_be_read_to_its_end_sends_nothing(name: str, handrail: Handrail, tmp_path: Path) -> None:
    file, text, words = UNREADABLE[name]
    path = written(tmp_path / file, text)
    code, out, err = handrail("submit", path, "--type", "refund", "--url", "http://127.0.0.1:9", "--key", "k")
    assert (1, "") == (code, out)
    assert words in err


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nonsense", "http://[", "ftp://127.0.0.1"])
def test_a_server_that_is_not_there_is_one_sentence(url: str, handrail: Handrail, tmp_path: Path) -> None:
    file = written(tmp_path / "rows.jsonl", '{"outcome": "approve"}\n')
    code, out, err = handrail("submit", file, "--type", "refund", "--url", url, "--key", "k")
    assert (1, "") == (code, out)
    assert "Traceback" not in err


def test_a_wrong_key_is_one_sentence(handrail: Handrail, server: str, house: House, tmp_path: Path) -> None:
    file = written(tmp_path / "rows.jsonl", '{"outcome": "approve", "amount_cents": 1}\n')
    code, _, err = handrail("submit", file, "--type", "refund", "--url", server, "--key", "hr_wrong")
    assert 1 == code
    assert "401" in err


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
    assert (0, "All is well: settings, database, schema, worker and clock.\n", "") == handrail("doctor")


def test_the_sample_policies_fit_their_types_and_what_the_simulation_sends(db: Database) -> None:
    demo.furnish(db)
    types = {slug: parse_decision_type(demo._sample(f"{slug}.yaml")) for slug in demo.SAMPLES}
    sent = list(islice(bodies(7), 300))
    assert set(demo.SAMPLES) == {body["decision_type"] for body in sent}
    assert [] == [fault for body in sent for fault in input_faults(types[body["decision_type"]], body["input"])]
    assert sent == list(islice(bodies(7), 300))


@pytest.mark.slow
def test_the_demonstration_fills_the_queue_and_ends_well(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-m", "app", "demo", "--port", str(port)]
    with subprocess.Popen(command, cwd=tmp_path, env=env, text=True, stdout=subprocess.PIPE) as process:
        assert process.stdout
        said = "".join(iter(process.stdout.readline, "\n")) + "".join(islice(process.stdout, 10))
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
