"""Checkpoints leave on a schedule: to a file, a webhook, a mailbox; what fails is told and tried again."""

import email
import email.policy
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from app.actions import audit
from app.actions.pushes import Plan
from app.actions.upkeep import Duty
from app.domain.errors import HandrailError
from app.domain.notes import parse_checkpoint, parse_note
from app.settings import Settings
from app.store import tree
from app.store.db import Database
from app.targets import plan_of
from app.worker import duties, run_once
from tests.factories import House, key, signer

ORIGIN = "handrail.example/audit"


def plan(**settings: Any) -> Plan:
    return plan_of(Settings(origin=ORIGIN, **settings))


def round_of(db: Database, given: Plan) -> int:
    return run_once(db, todo=duties(signer(), given))[Duty.PUSH]


def newest(db: Database) -> str:
    with db.read() as tx:
        return str(tree.last_checkpoint(tx).note)  # type: ignore[union-attr]


def told(db: Database) -> Any:
    with db.read() as tx:
        (row,) = tree.pushes(tx)
    return row


def test_a_file_gets_the_newest_checkpoint_when_it_is_due_and_only_a_new_one(house: House, tmp_path: Path) -> None:
    db, path = house.db, tmp_path / "checkpoint"
    given = plan(push_file=str(path), push_every=3600)
    assert 1 == round_of(db, given)
    assert newest(db) == path.read_text()
    assert 0 == round_of(db, given)
    key(db, "more", "decisions:read")
    assert 0 == round_of(db, given)
    first = told(db)
    db.offset = timedelta(hours=1)
    assert 1 == round_of(db, given)
    assert newest(db) == path.read_text()
    later = told(db)
    assert (f"file {path}", first.size + 1, None) == (later.target, later.size, later.error)
    assert later.pushed_at - first.pushed_at >= timedelta(hours=1)
    db.offset = timedelta(hours=5)
    assert 0 == round_of(db, given)
    assert [path.name] == [one.name for one in tmp_path.iterdir()]


def test_a_file_with_the_size_in_its_name_is_a_new_one_each_time(house: House, tmp_path: Path) -> None:
    given = plan(push_file=str(tmp_path / "checkpoint-{size}.txt"), push_every=10)
    round_of(house.db, given)
    key(house.db, "more", "decisions:read")
    house.db.offset = timedelta(seconds=11)
    round_of(house.db, given)
    sizes = sorted(parse_checkpoint(parse_note(one.read_text()).text).size for one in tmp_path.iterdir())
    assert sorted(f"checkpoint-{size}.txt" for size in sizes) == sorted(one.name for one in tmp_path.iterdir())
    assert 2 == len(sizes)


def test_what_fails_is_told_and_tried_again_after_a_minute(house: House, tmp_path: Path) -> None:
    db, folder = house.db, tmp_path / "not yet there"
    given = plan(push_file=str(folder / "checkpoint"))
    assert 0 == round_of(db, given)
    assert (None, None, "No such file or directory") == (told(db).size, told(db).pushed_at, told(db).error)
    folder.mkdir()
    assert 0 == round_of(db, given)
    db.offset = timedelta(seconds=61)
    assert 1 == round_of(db, given)
    assert told(db).error is None


def test_a_worker_that_was_killed_while_it_sent_leaves_that_to_the_next(house: House, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def dies(*_: Any) -> None:
        raise Killed

    db, given = house.db, plan(push_file=str(tmp_path / "checkpoint"))
    audit.seal(db, signer())
    (target,) = given.targets
    with pytest.raises(Killed):
        round_of(db, Plan([type(target)(target.name, dies)]))
    assert "it was begun, and nothing more is known" == told(db).error
    db.offset = timedelta(seconds=61)
    assert 1 == round_of(db, given)


def test_without_a_checkpoint_nothing_is_sent(house: House, tmp_path: Path) -> None:
    given = plan(push_file=str(tmp_path / "checkpoint"))
    assert 0 == run_once(house.db, todo=duties(plan=given))[Duty.PUSH]
    assert [] == list(tmp_path.iterdir())


def test_a_cosigned_checkpoint_goes_out_with_its_cosignatures(house: House, tmp_path: Path) -> None:
    db = house.db
    audit.seal(db, signer())
    with db.write() as tx:
        size = tree.last_checkpoint(tx).size  # type: ignore[union-attr]
        tree.keep_cosignature(tx, size, "witness.example", "— witness.example AAAAAAAA\n")
    round_of(db, plan(push_file=str(tmp_path / "checkpoint")))
    assert newest(db) + "— witness.example AAAAAAAA\n" == (tmp_path / "checkpoint").read_text()


@contextmanager
def listening(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


class Hook(BaseHTTPRequestHandler):
    status: ClassVar[int] = 204
    got: ClassVar[list[tuple[str, str, str]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.got.append((self.path, self.headers["Content-Type"], body))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_a_webhook_gets_the_note_and_its_address_is_never_shown(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    db = house.db
    monkeypatch.setattr(Hook, "got", [])
    with listening(HTTPServer(("127.0.0.1", 0), Hook)) as port:
        given = plan(push_webhook=f"http://127.0.0.1:{port}/hook?token=secret")
        monkeypatch.setattr(Hook, "status", 500)
        assert 0 == round_of(db, given)
        assert ("webhook 127.0.0.1", "it answered 500") == (told(db).target, told(db).error)
        monkeypatch.setattr(Hook, "status", 204)
        db.offset = timedelta(seconds=61)
        assert 1 == round_of(db, given)
    assert ("/hook?token=secret", "text/plain; charset=utf-8", newest(db)) == Hook.got[-1]
    assert told(db).error is None


def test_a_webhook_that_is_away_does_not_stop_the_other_targets(house: House, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    given = plan(push_webhook=f"http://127.0.0.1:{port}/", push_file=str(tmp_path / "checkpoint"))
    assert 1 == round_of(house.db, given)
    with house.db.read() as tx:
        errors = {row.target: row.error for row in tree.pushes(tx)}
    assert {f"file {tmp_path / 'checkpoint'}": None, "webhook 127.0.0.1": "ConnectError"} == errors


def test_a_target_that_fails_in_a_way_of_its_own_does_not_stop_the_others(house: House, tmp_path: Path) -> None:
    file = str(tmp_path / "checkpoint")
    given = plan(push_file=file, push_webhook="http://bad..host/")
    given = replace(given, targets=given.targets[::-1])
    assert 1 == round_of(house.db, given)
    with house.db.read() as tx:
        errors = {row.target: row.error for row in tree.pushes(tx)}
    assert {f"file {file}": None, "webhook bad..host": "UnicodeError"} == errors


class Mail(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as a client that sends one letter needs."""

    got: ClassVar[list[bytes]] = []

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                self.got.append(b"".join(iter(self.rfile.readline, b".\r\n")))
            self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")


def test_a_mailbox_gets_the_note_as_an_attachment(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mail, "got", [])
    with listening(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail)) as port:
        box = {"push_email": "auditor@example.org, board@example.org", "smtp_url": f"smtp://127.0.0.1:{port}"}
        assert 1 == round_of(house.db, plan(**box))
        refused = plan(push_email="a@example.org", smtp_url=f"smtp://user:secret@127.0.0.1:{port}")
        assert 0 == round_of(house.db, refused)
    (raw,) = Mail.got
    letter = email.message_from_bytes(raw, policy=email.policy.default)
    size = parse_checkpoint(parse_note(newest(house.db)).text).size
    assert f"Checkpoint of {ORIGIN}: {size} events" == letter["Subject"]
    assert "auditor@example.org, board@example.org" == letter["To"]
    (attached,) = letter.iter_attachments()
    assert (f"checkpoint-{size}.txt", newest(house.db)) == (
        attached.get_filename(), attached.get_payload(decode=True).decode(),
    )  # fmt: skip
    with house.db.read() as tx:
        assert "SMTPNotSupportedError" == tree.push_to(tx, "e-mail a@example.org").error  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"push_webhook": "ftp://x/"}, "HANDRAIL_PUSH_WEBHOOK must begin with https:// or http://"),
     ({"push_webhook": "https:///x"}, "name a host"),
     ({"push_webhook": "https://x:port/"}, "name a host"),
     ({"push_webhook": "https://[::1/"}, "name a host"),
     ({"push_email": "a@example.org"}, "HANDRAIL_SMTP_URL must begin with smtps:// or smtp://"),
     ({"push_email": "a@example.org", "smtp_url": "https://x"}, "HANDRAIL_SMTP_URL")],
)  # fmt: skip
def test_targets_that_cannot_be_are_refused_at_the_start(settings: dict[str, str], words: str) -> None:
    with pytest.raises(HandrailError, match=words):
        plan(**settings)
