"""The log over HTTP: proofs that a stranger can verify, static addresses that a monitor can follow, and their doors."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app import signing
from app.actions import audit, people
from app.domain import merkle, notes
from app.domain.access import SYSTEM
from app.domain.events import Event, EventType
from app.domain.merkle import EMPTY, HASH, leaf_hash
from app.domain.notes import Signature, Signer
from app.domain.tiles import Edge
from app.main import create_app
from app.store import events, tree
from app.store.db import Database
from app.store.tables import event, sealed, tree_head
from tests import factories
from tests.api.test_bad_input import check_problem
from tests.api.test_calls import submit
from tests.conftest import settings_for
from tests.domain import merkle_oracle as oracle
from tests.factories import House, furnish, key, person

ORIGIN = "handrail.example/audit"
WITNESS = factories.witness()


@pytest.fixture
def app(db: Database, database_url: str) -> FastAPI:
    return create_app(settings_for(database_url, witnesses=(WITNESS.key.vkey,)), database=db)


@pytest.fixture
def signer() -> Signer:
    return factories.signer()


@pytest.fixture
def log(client: TestClient, house: House, signer: Signer) -> House:
    """A log of 600 events, of which the first 300 were signed before the rest."""
    with house.db.read() as tx:
        count = int(tx.value(sa.select(sa.func.count()).select_from(event)))
    for size in (300 - count, 300):
        with house.db.write() as tx:
            events.record(tx, SYSTEM, *(Event(EventType.QUEUE_CHANGED, f"queue-{number}") for number in range(size)))
        audit.seal(house.db, signer)
    return house


def leaves(db: Database) -> list[bytes]:
    """The stored bytes, in the order of the tree."""
    with db.read() as tx:
        joined = sa.select(event.c.body).join(sealed, sealed.c.event_id == event.c.id).order_by(sealed.c.idx)
        return [row.body for row in tx.rows(joined)]


def ids(db: Database) -> list[str]:
    with db.read() as tx:
        return [row.event_id for row in tx.rows(sa.select(sealed).order_by(sealed.c.idx))]


def unhexed(values: list[str]) -> list[bytes]:
    return [bytes.fromhex(value) for value in values]


def verified(note: str, signer: Signer) -> notes.Checkpoint:
    parsed = notes.parse_note(note)
    notes.signers(parsed, [one.key for one in signer.keys], signing.check)
    return notes.parse_checkpoint(parsed.text)


def test_a_submission_is_proved_to_its_service_once_it_is_sealed(
    client: TestClient, house: House, signer: Signer
) -> None:
    told = submit(client, house)
    address = f"/api/v1/audit/events/{told['event']['id']}/proof"
    check_problem(client.get(address, headers=house.headers("service")), 409, "not_sealed")
    audit.seal(house.db, Signer(ORIGIN))
    check_problem(client.get(address, headers=house.headers("service")), 409, "not_signed")
    audit.seal(house.db, signer)
    for who in ("service", "auditor", "admin"):
        found = client.get(address, headers=house.headers(who)).json()
        checkpoint = verified(found["checkpoint"]["note"], signer)
        assert (ORIGIN, checkpoint.size, checkpoint.root.hex()) == tuple(
            found["checkpoint"][name] for name in ("origin", "size", "root")
        )
        assert merkle.verify_inclusion(
            bytes.fromhex(found["leaf_hash"]), found["index"], checkpoint.size, unhexed(found["path"]), checkpoint.root
        )
        assert merkle.leaf_hash(leaves(house.db)[found["index"]]).hex() == found["leaf_hash"]
    check_problem(client.get(address, headers=house.headers("rival")), 404, "not_found")


def test_a_proof_as_text_is_a_tlog_proof(client: TestClient, log: House, signer: Signer) -> None:
    headers = log.headers("auditor", Accept="text/plain")
    answer = client.get(f"/api/v1/audit/events/{ids(log.db)[300]}/proof", headers=headers)
    assert "text/plain; charset=utf-8" == answer.headers["content-type"]
    head, _, note = answer.text.partition("\n\n")
    first, index, *path = head.split("\n")
    assert ("c2sp.org/tlog-proof@v1", "index 300") == (first, index)
    assert oracle.path(300, leaves(log.db)) == [base64.b64decode(one) for one in path]
    assert 600 == verified(note, signer).size


def test_who_may_not_know_of_an_event_gets_no_proof_of_it(client: TestClient, house: House, signer: Signer) -> None:
    told = submit(client, house)
    audit.seal(house.db, signer)
    scoped = key(house.db, "scoped", "audit:read", person_id=person(house.db, "scoped", "auditor", "refund"))
    headers = {"Authorization": f"Bearer {scoped}"}
    assert 200 == client.get(f"/api/v1/audit/events/{told['event']['id']}/proof", headers=headers).status_code
    check_problem(client.get(f"/api/v1/audit/events/{ids(house.db)[0]}/proof", headers=headers), 404, "not_found")
    check_problem(client.get("/api/v1/audit/events/evt_none/proof", headers=house.headers("auditor")), 404, "not_found")


def test_checkpoints_are_told_to_any_key_old_ones_too(client: TestClient, log: House, signer: Signer) -> None:
    headers = log.headers("service")
    newest = client.get("/api/v1/audit/checkpoint", headers=headers).json()
    older = client.get("/api/v1/audit/checkpoint?size=300", headers=headers).json()
    assert [600, 300] == [verified(one["note"], signer).size for one in (newest, older)]
    text = client.get("/api/v1/audit/checkpoint", headers={**headers, "Accept": "text/plain"})
    assert newest["note"] == text.text
    check_problem(client.get("/api/v1/audit/checkpoint?size=299", headers=headers), 404, "not_found")
    check_problem(client.get("/api/v1/audit/checkpoint"), 401, "unauthenticated")


def test_before_anything_is_signed_there_is_no_checkpoint(client: TestClient, house: House) -> None:
    check_problem(client.get("/api/v1/audit/checkpoint", headers=house.headers("service")), 404, "not_found")


def test_a_newer_tree_begins_with_an_older_one(client: TestClient, log: House, signer: Signer) -> None:
    headers = log.headers("service")
    found = client.get("/api/v1/audit/consistency?from=300", headers=headers).json()
    kept = [
        verified(client.get(f"/api/v1/audit/checkpoint?size={size}", headers=headers).json()["note"], signer)
        for size in (300, 600)
    ]
    assert [(one.size, one.root.hex()) for one in kept] == [
        (found[name]["size"], found[name]["root"]) for name in ("older", "newer")
    ]
    assert merkle.verify_consistency(300, 600, unhexed(found["path"]), kept[0].root, kept[1].root)
    between = client.get("/api/v1/audit/consistency?from=7&to=411", headers=headers).json()
    assert oracle.proof(7, leaves(log.db)[:411]) == unhexed(between["path"])


@pytest.mark.parametrize(
    ("query", "name"),
    [("from=301&to=300", "from"), ("from=1&to=601", "to"), ("from=601", "from"), ("from=0", "from"), ("", "from"),
     ("from=x", "from"), (f"from=1&to={2**63}", "to"), ("from=1&to=2&more=3", "more")],
)  # fmt: skip
def test_sizes_that_the_tree_never_had_are_refused(client: TestClient, log: House, query: str, name: str) -> None:
    answer = client.get(f"/api/v1/audit/consistency?{query}", headers=log.headers("auditor"))
    check_problem(answer, 422, "invalid", f"/query/{name}")


@pytest.fixture
def untriggered(log: House) -> House:
    """The log in the hands of somebody who owns the database and drops what is in the way."""
    with log.db.write() as tx:
        dropped = ["event_no_update"] if log.db.is_sqlite else ["event_no_change ON event"]
        for name in (*dropped, *(["tile_no_update"] if log.db.is_sqlite else ["tile_no_change ON tile"])):
            tx.run(sa.text(f"DROP TRIGGER {name}"))
    return log


def test_what_was_changed_behind_our_back_is_not_proved(client: TestClient, untriggered: House) -> None:
    headers = untriggered.headers("auditor")
    victim = ids(untriggered.db)[250]
    with untriggered.db.write() as tx:
        body = tx.value(sa.select(event.c.body).where(event.c.id == victim))
        tx.run(event.update().where(event.c.id == victim).values(body=body.replace(b"queue", b"quiet")))
    check_problem(client.get(f"/api/v1/audit/events/{victim}/proof", headers=headers), 409, "tree_broken")
    assert 200 == client.get(f"/api/v1/audit/events/{ids(untriggered.db)[251]}/proof", headers=headers).status_code
    with untriggered.db.write() as tx:
        tx.run(sa.text("UPDATE tile SET hashes = :zeros"), {"zeros": bytes(8192)})
    check_problem(
        client.get(f"/api/v1/audit/events/{ids(untriggered.db)[300]}/proof", headers=headers), 409, "tree_broken"
    )
    check_problem(client.get("/api/v1/audit/consistency?from=300", headers=headers), 409, "tree_broken")


def test_a_tree_that_is_not_the_one_that_was_signed_is_not_proved_consistent(
    client: TestClient, log: House, signer: Signer
) -> None:
    def ask(query: str) -> Any:
        return client.get(f"/api/v1/audit/consistency?{query}", headers=log.headers("auditor"))

    stood, another = head_of(log.db), Edge()
    another.grow([leaf_hash(b"another")] * 88)  # after the same two full tiles
    forged = Edge(stood.size, another.stored() + stood.edge[88 * HASH :])
    set_head(log.db, size=forged.size, root=forged.root(), edge=forged.stored())
    assert 200 == ask("from=256&to=300").status_code
    for query in ("from=300", "from=300&to=600", "from=600&to=600"):
        check_problem(ask(query), 409, "tree_broken")
    set_head(log.db, size=0, root=EMPTY, edge=b"")
    check_problem(ask("from=300"), 409, "tree_broken")


def test_an_edge_that_does_not_fit_is_said_wherever_it_is_read(client: TestClient, log: House) -> None:
    set_head(log.db, edge=b"short")
    event_id = ids(log.db)[0]
    for path in ("/tile/0/002.p/8", "/api/v1/audit/consistency?from=300", f"/api/v1/audit/events/{event_id}/proof"):
        check_problem(client.get(path, headers=log.headers("auditor")), 409, "tree_broken")


def head_of(db: Database) -> Any:
    with db.read() as tx:
        return tree.head(tx)


def set_head(db: Database, **values: Any) -> None:
    with db.write() as tx:
        tx.run(tree_head.update().values(values))


def cosignature(text: str, at: int = 1_790_000_000) -> str:
    signed = at.to_bytes(8, "big") + WITNESS.sign(notes.cosigned(text, at))
    return Signature(WITNESS.key.name, WITNESS.key.id + signed).line


def test_cosignatures_of_witnesses_are_kept_and_the_newest_of_each_is_told(
    client: TestClient, log: House, signer: Signer
) -> None:
    headers = log.headers("auditor")
    note = client.get("/api/v1/audit/checkpoint", headers=headers).json()["note"]
    line = cosignature(notes.parse_note(note).text)
    body = {"size": 600, "lines": [line.removesuffix("\n")]}
    for _ in range(2):
        answer = client.post("/api/v1/audit/checkpoint/cosignatures", json=body, headers=headers)
        assert (201, note + line) == (answer.status_code, answer.json()["note"])
    later = cosignature(notes.parse_note(note).text, 1_790_000_001)
    answer = client.post("/api/v1/audit/checkpoint/cosignatures", json={**body, "lines": [later]}, headers=headers)
    assert note + later == answer.json()["note"] == client.get("/checkpoint", headers=headers).text
    found = notes.signers(notes.parse_note(answer.json()["note"]), [WITNESS.key, signer.keys[0].key], signing.check)
    assert [WITNESS.key, signer.keys[0].key] == found


def test_cosignatures_that_do_not_verify_are_refused_whole(client: TestClient, log: House, signer: Signer) -> None:
    headers = log.headers("auditor")
    address = "/api/v1/audit/checkpoint/cosignatures"
    note = client.get("/api/v1/audit/checkpoint", headers=headers).json()["note"]
    text = notes.parse_note(note).text
    good = cosignature(text)
    for bad in ("", "nonsense", note.split("\n\n")[1], cosignature(text.replace("\n600", "\n601"))):
        answer = client.post(address, json={"size": 600, "lines": [good, bad]}, headers=headers)
        check_problem(answer, 422, "cosignature_invalid")
        assert ["/lines/1"] == [one["pointer"] for one in answer.json()["errors"]]
    check_problem(
        client.post(address, json={"size": 300, "lines": [good]}, headers=headers), 422, "cosignature_invalid"
    )
    check_problem(client.post(address, json={"size": 5, "lines": [good]}, headers=headers), 404, "not_found")
    for who in ("service", "reviewer"):
        check_problem(
            client.post(address, json={"size": 600, "lines": [good]}, headers=log.headers(who)), 403, "forbidden"
        )
    assert note == client.get("/api/v1/audit/checkpoint", headers=headers).json()["note"]


def test_a_monitor_follows_the_log_by_its_static_addresses(client: TestClient, log: House, signer: Signer) -> None:
    headers = log.headers("auditor")
    checkpoint = verified(client.get("/checkpoint", headers=headers).text, signer)

    def fetched(path: str) -> bytes:
        answer = client.get(f"/tile/{path}", headers=headers)
        assert (200, "application/octet-stream") == (answer.status_code, answer.headers["content-type"])
        return answer.content

    tiles = fetched("0/000") + fetched("0/001") + fetched("0/002.p/88")
    hashes = [tiles[start : start + 32] for start in range(0, len(tiles), 32)]
    assert (600, checkpoint.root) == (len(hashes), merkle.root(hashes))
    assert fetched("1/000.p/2") == b"".join(merkle.root(hashes[start : start + 256]) for start in (0, 256))
    assert hashes[512:514] == [fetched("0/002.p/2")[:32], fetched("0/002.p/2")[32:]]
    bundles = fetched("entries/000") + fetched("entries/001") + fetched("entries/002.p/88")
    assert leaves(log.db) == list(unbundled(bundles))
    for missing in ("0/002", "0/002.p/89", "0/003.p/1", "1/000", "2/000.p/1", "entries/002", "entries/002.p/89",
                    "63/x999/x999/x999/x999/x999/999", "entries/x999/x999/x999/x999/x999/999", "0/2", "0/000.p/256",
                    "x", "", "0/000/"):  # fmt: skip
        check_problem(client.get(f"/tile/{missing}", headers=headers), 404, "not_found")


def unbundled(raw: bytes) -> Iterator[bytes]:
    while raw:
        length = int.from_bytes(raw[:2], "big")
        yield raw[2 : 2 + length]
        raw = raw[2 + length :]


STATIC = ("/checkpoint", "/tile/0/000", "/tile/entries/000")


def test_static_addresses_need_a_key_that_may_read_the_audit_trail(client: TestClient, log: House) -> None:
    for path in STATIC:
        check_problem(client.get(path), 401, "unauthenticated")
        check_problem(client.get(path, headers={"Authorization": "Bearer hr_x"}), 401, "unauthenticated")
        check_problem(client.get(path, headers=log.headers("service")), 403, "forbidden")
        assert 200 == client.get(path, headers=log.headers("auditor")).status_code
    assert ["no-cache", "private, max-age=31536000, immutable", "no-store"] == [
        client.get(path, headers=log.headers("auditor")).headers["cache-control"] for path in STATIC
    ]


def test_static_addresses_answer_a_head_as_a_get_without_its_body(client: TestClient, log: House) -> None:
    for path in (*STATIC, "/tile/0/009"):
        for headers in ({}, log.headers("auditor")):
            seen, asked = (getattr(client, method)(path, headers=headers) for method in ("get", "head"))
            alike = [{**answer.headers, "x-request-id": ""} for answer in (seen, asked)]
            assert (seen.status_code, alike[0], b"") == (asked.status_code, alike[1], asked.content), path
    assert "GET, HEAD" == client.post("/checkpoint").headers["allow"]


def test_a_public_log_shows_hashes_to_everybody_and_events_to_nobody_without_a_key(
    db: Database, database_url: str
) -> None:
    house = furnish(db)
    with db.write() as tx:
        events.record(tx, SYSTEM, *(Event(EventType.QUEUE_CHANGED, "queue") for _ in range(256)))
    audit.seal(db, Signer(ORIGIN))
    public = create_app(settings_for(database_url, log_public=True), database=db)
    with TestClient(public, raise_server_exceptions=False) as client:
        check_problem(client.get("/checkpoint"), 404, "not_found")
        tile = client.get("/tile/0/000")
        assert (8192, "public, max-age=31536000, immutable") == (len(tile.content), tile.headers["cache-control"])
        check_problem(client.get("/tile/entries/000"), 401, "unauthenticated")
        assert 200 == client.get("/tile/entries/000", headers=house.headers("auditor")).status_code


def test_entries_hide_nothing_so_whoever_reviews_or_audits_one_type_alone_gets_none(
    client: TestClient, log: House
) -> None:
    scoped = key(log.db, "scoped", "audit:read", person_id=person(log.db, "scoped", "auditor", "refund"))
    check_problem(client.get(STATIC[2], headers={"Authorization": f"Bearer {scoped}"}), 403, "forbidden")
    both = person(log.db, "both", "reviewer")
    people.grant(log.db, SYSTEM, both, "auditor")
    token = key(log.db, "both", "audit:read", person_id=both)
    check_problem(client.get(STATIC[2], headers={"Authorization": f"Bearer {token}"}), 403, "forbidden")
