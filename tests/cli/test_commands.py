"""What scripts may rely on: every command, its exit code, what it prints, and one plain sentence when it fails."""

import json
import re
import socket
from io import StringIO
from pathlib import Path

import pytest

from app.actions import policies
from app.domain.access import SYSTEM
from app.domain.notes import key_of
from app.store import schema
from app.store.db import Database
from tests.cli.conftest import Handrail, written
from tests.factories import POLICY, REFUND, House

KEY = re.compile(r"hr_[a-z0-9]{8}_[A-Za-z0-9_-]{43}\n")


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


def test_a_signing_key_is_a_file_and_its_public_half_is_printed(handrail: Handrail, tmp_path: Path) -> None:
    code, vkey, err = handrail("key", "create-signing", "a.key", "--origin", "example.org/log")
    assert (0, "", "example.org/log") == (code, err, key_of(vkey.strip()).name)
    assert (tmp_path / "a.key").read_text().startswith("PRIVATE+KEY+example.org/log+")
    assert (1, "", "a.key: File exists.\n") == handrail("key", "create-signing", "a.key")


def test_serve_refuses_a_signing_key_that_others_may_read(
    handrail: Handrail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handrail("key", "create-signing", "a.key")
    (tmp_path / "a.key").chmod(0o644)
    monkeypatch.setenv("HANDRAIL_SIGNING_KEY_FILE", "a.key")
    code, _, err = handrail("serve")
    assert (1, "a.key has the mode 0644, but is for its owner alone: `chmod 600` it.\n") == (code, err)


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


def test_a_misspelt_input_is_a_warning(handrail: Handrail, here: str, db: Database, tmp_path: Path) -> None:
    closed = {**REFUND["input_schema"], "additionalProperties": False}
    assert 0 == handrail("type", "apply", written(tmp_path / "t.yaml", {**REFUND, "input_schema": closed}))[0]
    misspelt = {**POLICY, "rules": [{"name": "r", "when": "input.amout_cents > 1", "at_least": "human_decides"}]}
    for verb in ("validate", "apply"):
        code, _, err = handrail("policy", verb, written(tmp_path / "p.yaml", misspelt))
        assert (0, True) == (code, err.startswith("warning: /rules/0/when asks for input.amout_cents"))
