"""What a bundle promises: all of it is there, it verifies, and it shows nobody what they may not see."""

import csv
import io
import json
import zipfile
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa

from app.actions import _parquet, _record, audit, erasure, people, policies, reads, reviews, types, upkeep
from app.actions.bundles import bundle
from app.actions.decisions import cancel
from app.actions.sessions import actor_of_key
from app.actions.verdicts import give_verdict
from app.domain.access import SYSTEM, Actor, Grant
from app.domain.errors import Conflict, Forbidden, HandrailError
from app.domain.notes import Signer
from app.domain.review import Action, Said
from app.store import bundles
from app.store.db import Database
from app.store.decisions import Filters
from app.store.tables import decision
from app.verifier.verify import COLUMNS, Wrong, examined, key_of
from tests.actions.test_promises import claim, submit
from tests.factories import POLICY, REFUND, House, put_policy, signer

SIGNER = signer()
HAPPENED = {
    "escalated", "expired", "judged", "abstained", "settled", "undone", "released", "renewed", "lease_expired",
    "overdue", "decision.cancelled",
}  # fmt: skip


def made(
    db: Database, actor: Actor = SYSTEM, *, key: Signer = SIGNER, older: int | None = None, **filters: Any
) -> bytes:
    return b"".join(bundle(db, actor, Filters(**filters), key, partial(audit.seal, db, key), older))


def found(raw: bytes, path: Path, *, key: Signer = SIGNER) -> list[str]:
    """What the verifier says of it; raises Wrong."""
    file = path / "bundle.zip"
    file.write_bytes(raw)
    return examined(str(file), [key_of(one) for one in key.vkeys], None, None)


def member(raw: bytes, name: str) -> bytes:
    return zipfile.ZipFile(io.BytesIO(raw)).read(name)


def record(raw: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in member(raw, "decisions.jsonl").splitlines()]


@pytest.fixture
def busy(house: House) -> House:
    """A house in which everything that can happen to a review has happened."""
    db, random = house.db, Random(3)
    types.apply(db, SYSTEM, {**REFUND, "rationale": "override"})
    review = {**POLICY["review"], "reviewers": 2, "expires_after": "1d", "on_expiry": {"outcome": "deny"}}
    put_policy(db, {**POLICY, "sample": {"rate": 0.5}, "review": review})
    for number in range(24):
        answers = [{}, {"confidence": 0.99, "amount_cents": 100}, {"amount_cents": 10**6}, {"confidence": 0.1}]
        explained = {"external_id": f"=case {number}", "subject": f"Ada {number}"}
        submit(house, **explained, **answers[number % 4])
    actors = [actor_of_key(db, house.keys[name], None) for name in ("reviewer", "second", "lead")]
    for number in range(160):
        if number == 120:
            db.offset = timedelta(days=2)
            upkeep.announce_lapsed(db)
            upkeep.announce_overdue(db)
            upkeep.expire(db)
        step(db, random, random.choice(actors))
    pending = [one for one in record(made(db)) if one["status"] == "pending"]
    if pending:
        cancel(db, actor_of_key(db, house.keys["service"], None), pending[0]["id"])
    return house


def step(db: Database, random: Random, actor: Actor) -> None:
    """Something that a reviewer may try; what is refused changes nothing."""
    try:
        claimed = reviews.claim_next(db, actor)
        if isinstance(claimed, reviews.Nothing):
            return
        id, token, do = claimed["id"], claimed["lease"]["token"], random.randrange(8)
        if do == 0:
            reviews.snooze(db, actor, id, token, 1)
            reviews.undo(db, actor, id)
        elif do == 1:
            reviews.release(db, actor, id, token)
        elif do == 2:
            reviews.renew(db, actor, id, token)
        elif do == 3:
            give_verdict(db, actor, id, token, Said(Action.ABSTAIN, rationale="I know them."))
        elif do == 4:
            give_verdict(db, actor, id, token, Said(Action.ESCALATE, rationale="Too odd for me."))
        else:
            rule(db, random, actor, id, token)
    except HandrailError:
        return


def rule(db: Database, random: Random, actor: Actor, id: str, token: int) -> None:
    outcome = random.choice(["approve", "approve", "deny"])
    for said in (
        Said(Action.DECIDE, outcome, rationale="Seen it."),
        Said(Action.APPROVE),
        Said(Action.OVERRIDE, "deny", "fraud", rationale='"No",\nsays =1+1'),
        Said(Action.DECIDE, outcome, rationale="Still so."),
    ):
        try:
            give_verdict(db, actor, id, token, said)
        except HandrailError:
            continue


def test_all_that_happened_verifies(busy: House, tmp_path: Path) -> None:
    raw = made(busy.db)
    said = found(raw, tmp_path)
    lines = record(raw)
    kinds = {json.loads(line)["body"]["type"] for line in member(raw, "events.jsonl").splitlines()}
    assert "Nothing is missing: it is the whole log." in said
    assert 24 == len(lines)
    assert {"pending", "final", "cancelled"} == {line["status"] for line in lines}
    missing = HAPPENED - {kind.removeprefix("review.") for kind in kinds}
    assert set() == missing
    assert {"shown", "rationale"} <= {
        label
        for line in lines
        for review in line["reviews"]
        for one in review["verdicts"]
        for label in one["committed"]
    }


def test_a_bundle_is_signed_by_each_key_and_without_one_says_so(house: House, tmp_path: Path) -> None:
    submit(house)
    two = signer(1, 2)
    found(made(house.db, key=two), tmp_path, key=two)
    raw = made(house.db, key=Signer("handrail.example/audit"))
    assert any("NOT SIGNED" in one for one in found(raw, tmp_path, key=Signer("x")))


def test_filters_leave_out_decisions_and_nothing_of_those_that_stay(busy: House, tmp_path: Path) -> None:
    every = record(made(busy.db))
    since, until = every[5]["created_at"], every[20]["created_at"]
    raw = made(busy.db, type="refund", since=datetime.fromisoformat(since), until=datetime.fromisoformat(until))
    assert any("a part of the log" in one for one in found(raw, tmp_path))
    assert [one["id"] for one in every[5:20]] == [one["id"] for one in record(raw)]


def test_what_happens_while_it_is_made_is_not_part_of_it(busy: House, tmp_path: Path) -> None:
    chunks = bundle(busy.db, SYSTEM, Filters(), SIGNER, partial(audit.seal, busy.db, SIGNER))
    first = next(chunks)
    submit(busy)
    for number in range(40):
        step(busy.db, Random(number), actor_of_key(busy.db, busy.keys["lead"], None))
    audit.seal(busy.db, SIGNER)
    assert found(first + b"".join(chunks), tmp_path)


def test_an_older_checkpoint_is_proved_when_it_is_asked_for(busy: House, tmp_path: Path) -> None:
    old = tmp_path / "old.txt"
    old.write_bytes(member(made(busy.db), "checkpoint.txt"))
    size = int(old.read_text().split("\n")[1])
    submit(busy)
    file = tmp_path / "new.zip"
    file.write_bytes(made(busy.db, older=size))
    assert f"The log still begins with the {size} events" in examined(str(file), [], str(old), None)[0]
    with pytest.raises(Conflict, match="fewer than"):
        made(busy.db, older=10**9)


def test_roles_are_told_with_when_they_were_held(house: House, tmp_path: Path) -> None:
    submit(house)
    people.revoke_grant(house.db, SYSTEM, house.people["second"], "reviewer")
    raw = made(house.db)
    found(raw, tmp_path)
    rows = [line.split(",") for line in member(raw, "people.csv").decode().splitlines()]
    ended = {row[0] for row in rows[1:] if row[4]}
    assert ({house.people["second"]}, 7) == (ended, len(rows))
    assert b"example.org" not in raw.replace(member(raw, "verify.py"), b"")


def test_a_bundle_needs_both_rights_and_the_export_is_an_event(house: House) -> None:
    submit(house)
    for name in ("reviewer", "owner", "service"):
        with pytest.raises(Forbidden):
            made(house.db, actor_of_key(house.db, house.keys[name], None))
    made(house.db, actor_of_key(house.db, house.keys["auditor"], None))
    raw = made(house.db)
    asked = [json.loads(line)["body"] for line in member(raw, "events.jsonl").splitlines()]
    (told,) = (one for one in asked if one["type"] == "export.started")
    assert ("bundle", house.people["auditor"]) == (told["data"]["format"], told["actor"]["person"])


def test_who_may_read_one_type_gets_that_type_alone(house: House, tmp_path: Path) -> None:
    types.apply(house.db, SYSTEM, {**REFUND, "slug": "loan"})
    policies.activate(
        house.db,
        SYSTEM,
        "loan",
        policies.draft(house.db, SYSTEM, "loan", {**POLICY, "decision_type": "loan"})["version"],
    )
    submit(house)
    submit(house, decision_type="loan")
    actor = Actor("person", "usr_x", "X", person_id="usr_x", grants=(Grant("auditor", "loan"),))
    raw = made(house.db, actor)
    found(raw, tmp_path)
    assert ["loan"] == [one["decision_type"] for one in record(raw)]
    types_told = {json.loads(line)["body"]["decision_type"] for line in member(raw, "events.jsonl").splitlines()}
    assert {"loan"} == types_told


def test_nobody_gets_a_bundle_that_shows_what_a_blind_review_hides_from_them(house: House) -> None:
    submit(house, amount_cents=10**6, confidence=0.1)  # people decide, and judge first
    both = Actor("person", "usr_x", "X", person_id="usr_x", grants=(Grant("auditor"), Grant("reviewer")))
    with pytest.raises(Conflict, match="hides its proposal from you"):
        made(house.db, both)


def test_a_row_that_somebody_changed_in_the_database_is_found(busy: House, tmp_path: Path) -> None:
    first = record(made(busy.db))[0]["id"]
    with busy.db.write() as tx:
        tx.run(decision.update().where(decision.c.id == first).values(input=sa.literal("{}")))
    with pytest.raises(Wrong, match="its input is not what the event committed to"):
        found(made(busy.db), tmp_path)


def test_what_was_erased_is_told_as_erased_and_all_still_verifies(busy: House, tmp_path: Path) -> None:
    ended = [one for one in record(made(busy.db)) if one["status"] != "pending"]
    subjects = [one["committed"]["subject"]["text"] for one in ended]
    hold = erasure.hold(busy.db, actor_of_key(busy.db, busy.keys["admin"], None), ended[-1]["id"], "litigation")
    for subject in subjects[:-1]:
        erasure.erase_subject(busy.db, subject, "objection")
    raw = made(busy.db)
    found(raw, tmp_path)
    lines = {one["id"]: one for one in record(raw)}
    assert hold
    assert [True] * (len(ended) - 1) + [False] == [lines[one["id"]]["erased"] is not None for one in ended]
    assert {()} == {tuple(lines[one["id"]]["committed"]) for one in ended[:-1]}
    whole = b"".join(member(raw, name) for name in ("decisions.jsonl", "decisions.csv", "events.jsonl"))
    assert not [one for one in subjects[:-1] if f'"{one}"'.encode() in whole]


def test_what_is_erased_while_a_bundle_is_made_ends_it_with_a_sentence(busy: House) -> None:
    ended = next(one for one in record(made(busy.db)) if one["status"] != "pending")
    chunks = bundle(busy.db, SYSTEM, Filters(), SIGNER, partial(audit.seal, busy.db, SIGNER))
    erasure.erase_subject(busy.db, ended["committed"]["subject"]["text"], "objection")
    with pytest.raises(Conflict, match="Make it again") as raised:
        list(chunks)
    assert "erased_meanwhile" == raised.value.code
    assert record(made(busy.db))


def test_a_verdict_that_comes_while_a_page_is_read_is_not_part_of_it(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL gives each statement what is committed by then; SQLite gives all of them one moment."""
    reviewer, real, late = actor_of_key(house.db, house.keys["reviewer"], None), bundles.reviews_of, [True]
    submit(house)
    claimed = claim(house, reviewer)

    def reviews_of(tx: Any, ids: Any) -> Any:
        if late.pop() if late else False:
            give_verdict(house.db, reviewer, claimed["id"], claimed["lease"]["token"], Said(Action.APPROVE))
        return real(tx, ids)

    monkeypatch.setattr(bundles, "reviews_of", reviews_of)
    raw = made(house.db)
    assert found(raw, tmp_path)
    assert ["pending"] == [one["status"] for one in record(raw)]


def test_who_reads_after_the_checkpoint_does_not_make_it_told_anew(
    busy: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = record(made(busy.db))
    monkeypatch.setattr(_record, "replayed", None)  # what is asked where something else happened
    chunks = bundle(busy.db, SYSTEM, Filters(), SIGNER, partial(audit.seal, busy.db, SIGNER))
    auditor = actor_of_key(busy.db, busy.keys["auditor"], None)
    reads.Reads(busy.db).decision(auditor, before[0]["id"], before[0]["decision_type"])
    assert before == record(b"".join(chunks))
    raw = made(busy.db)
    assert "decision.viewed" in {json.loads(line)["body"]["type"] for line in member(raw, "events.jsonl").splitlines()}


def test_data_that_vanished_without_an_erasure_is_found(busy: House, tmp_path: Path) -> None:
    with busy.db.write() as tx:
        tx.run(decision.update().values(salts=None))
    with pytest.raises(Wrong, match="no event tells that it was erased"):
        found(made(busy.db), tmp_path)


def test_parquet_has_the_rows_of_the_table_and_is_verified_as_far_as_it_can_be(
    busy: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra `parquet` is not installed")
    monkeypatch.setattr(_parquet, "ROWS", 7)
    raw = b"".join(bundle(busy.db, SYSTEM, Filters(), SIGNER, partial(audit.seal, busy.db, SIGNER), parquet=True))
    file = parquet.ParquetFile(io.BytesIO(member(raw, "decisions.parquet")))
    table = file.read()
    heading, *rows = csv.reader(io.StringIO(member(raw, "decisions.csv").decode(), newline=""))
    assert (24, 4) == (len(rows), file.num_row_groups)
    assert (heading, {"string"}) == (table.column_names, {str(one) for one in table.schema.types})
    assert rows == [list(row.values()) for row in table.to_pylist()]
    assert "decisions.parquet is as the manifest says; its content was not read." in found(raw, tmp_path)
    assert not any("parquet" in one for one in found(made(busy.db), tmp_path))


def test_long_texts_end_a_row_group_early_and_no_decision_makes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra `parquet` is not installed")
    monkeypatch.setattr(_parquet, "TEXT", 1000)
    groups = []
    for count in (0, 5):
        file = io.BytesIO()
        table = _parquet.Parquet(file)
        for _ in range(count):
            table.add(["x" * 600, *[""] * (len(COLUMNS) - 1)])
        table.end()
        groups.append(parquet.ParquetFile(file).metadata)
    assert [(0, 0), (5, 3)] == [(one.num_rows, one.num_row_groups) for one in groups]


def test_one_bit_of_the_parquet_is_found(house: House, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow", reason="the extra `parquet` is not installed")
    submit(house)
    raw = b"".join(bundle(house.db, SYSTEM, Filters(), SIGNER, partial(audit.seal, house.db, SIGNER), parquet=True))
    info, random = zipfile.ZipFile(io.BytesIO(raw)).getinfo("decisions.parquet"), Random(6)
    begins = info.header_offset + 30 + len(info.filename) + 20
    for _ in range(60):
        changed = bytearray(raw)
        changed[begins + random.randrange(info.compress_size)] ^= 1 << random.randrange(8)
        with pytest.raises(Wrong, match=r"decisions\.parquet"):
            found(bytes(changed), tmp_path)
