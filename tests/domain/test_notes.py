"""Signed notes, checkpoints, cosignatures and proofs: as published, and nothing that is nearly so."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from app.domain import notes
from app.domain.errors import Malformed
from app.domain.notes import Key, Signature, Signer, SigningKey
from tests.domain.test_merkle import published

VECTORS = Path(__file__).parents[2] / ".." / "shared" / "vectors"
ROOT = bytes(range(32))


def vectors() -> Any:
    return json.loads((VECTORS / "signed_note.json").read_text())


def check(public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def signing(name: str, seed: bytes, algorithm: int = notes.ED25519) -> SigningKey:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return SigningKey(Key(name, algorithm, private.public_key().public_bytes_raw()), private.sign)


LOG, NEXT = signing("hitl.example/audit", bytes(range(32))), signing("hitl.example/audit", bytes(range(1, 33)))
WITNESS = signing("witness.example/w1", bytes(range(32, 64)), notes.COSIGNATURE)
SIGNER = Signer("hitl.example/audit", (LOG,))
TEXT = notes.Checkpoint("hitl.example/audit", 8, ROOT).text


def cosign(text: str, at: int) -> Signature:
    return Signature(WITNESS.key.name, WITNESS.key.id + at.to_bytes(8, "big") + WITNESS.sign(notes.cosigned(text, at)))


@published
def test_published_notes_verify_with_their_keys_and_are_written_as_they_came() -> None:
    cases = vectors()["valid"]
    for one in cases:
        note, key = notes.parse_note(one["msg"]), notes.key_of(one["vkey"])
        assert [key] == notes.signers(note, [key], check), one["desc"]
        assert one["msg"] == notes.joined(note.text, note.signatures)
        assert one["vkey"] == key.vkey
    assert 4 == len(cases)


@published
def test_published_notes_that_are_wrong_are_refused() -> None:
    cases = vectors()["invalid"]
    for one in cases:
        with pytest.raises(Malformed):
            notes.signers(notes.parse_note(one["msg"]), [notes.key_of(one["vkey"])], check)
    assert 9 == len(cases)


@published
def test_the_published_checkpoint_is_signed_and_cosigned_as_we_do_it() -> None:
    (one,) = [case for case in vectors()["valid"] if "witness_vkey" in case]
    note = notes.parse_note(one["msg"])
    found = notes.parse_checkpoint(note.text)
    assert ("hitl.example/audit", 8, found.text) == (found.origin, found.size, note.text)
    assert one["msg"] == SIGNER.note(note.text) + cosign(note.text, one["time"]).line
    assert (one["vkey"], one["witness_vkey"]) == (LOG.key.vkey, WITNESS.key.vkey)
    assert [LOG.key, WITNESS.key] == notes.signers(note, [LOG.key, WITNESS.key], check)


@published
def test_published_bodies_of_checkpoints_are_judged_as_published_and_ours_have_32_bytes() -> None:
    bodies = vectors()["checkpoint_body"]
    for text in bodies["valid"]:
        origin, size, root = text.removesuffix("\n").split("\n")
        whole = base64.b64encode(base64.b64decode(root).ljust(32, b".")[:32]).decode()
        assert int(size) == notes.parse_checkpoint(f"{origin}\n{size}\n{whole}\n").size
    for why, text in bodies["invalid"]:
        with pytest.raises(Malformed):
            notes.parse_checkpoint(text)
        assert why


@pytest.mark.parametrize(
    "text",
    ["", "\n", "a\n1\n", TEXT[:-1], f"{TEXT}\n", f"{TEXT}\nmore\n", f"{TEXT}more", TEXT.replace("\n8", "\n-8"),
     TEXT.replace("\n8", f"\n{2**63}"), TEXT.replace("=", ""), TEXT.replace("Hh8=", "Hh9="), TEXT.replace("\n8", "\n")],
)  # fmt: skip
def test_a_checkpoint_written_otherwise_is_refused(text: str) -> None:
    with pytest.raises(Malformed, match="A checkpoint is three lines"):
        notes.parse_checkpoint(text)


def test_extension_lines_of_a_checkpoint_are_passed_over_and_signed_all_the_same() -> None:
    assert ROOT == notes.parse_checkpoint(f"{TEXT}more\nand more\n").root


def test_two_keys_sign_during_a_rotation_and_either_verifies() -> None:
    note = notes.parse_note(Signer("hitl.example/audit", (LOG, NEXT)).note(TEXT))
    for keys in ([LOG.key], [NEXT.key], [LOG.key, NEXT.key]):
        assert keys == notes.signers(note, keys, check)
    assert (LOG.key.vkey, NEXT.key.vkey) == Signer("o", (LOG, NEXT)).vkeys


def test_lines_of_strangers_are_passed_over_and_a_note_of_strangers_alone_is_refused() -> None:
    note = notes.parse_note(SIGNER.note(TEXT) + Signature("stranger", b"1234" + b"x" * 64).line)
    assert [LOG.key] == notes.signers(note, [LOG.key], check)
    with pytest.raises(Malformed, match="No known key"):
        notes.signers(note, [NEXT.key, WITNESS.key], check)


def test_a_cosignature_says_its_time_and_holds_for_that_alone() -> None:
    good = cosign(TEXT, 1679315147)
    note = notes.parse_note(SIGNER.note(TEXT) + good.line)
    assert [WITNESS.key] == notes.signers(note, [WITNESS.key], check)
    later = Signature(good.name, good.blob[:4] + (1679315148).to_bytes(8, "big") + good.blob[12:])
    short = Signature(good.name, good.blob[:-1])
    for bad in (later, short, cosign(TEXT.replace("\n8", "\n9"), 1679315147)):
        with pytest.raises(Malformed, match=r"witness\.example/w1 does not verify"):
            notes.signers(notes.parse_note(SIGNER.note(TEXT) + bad.line), [LOG.key, WITNESS.key], check)


@given(st.integers(0, len(SIGNER.note(TEXT).encode()) * 8 - 1))
def test_no_bit_of_a_signed_checkpoint_can_be_another(bit: int) -> None:
    raw = SIGNER.note(TEXT).encode()
    changed = (int.from_bytes(raw, "big") ^ 1 << bit).to_bytes(len(raw), "big")
    with pytest.raises((Malformed, UnicodeDecodeError)):
        notes.signers(notes.parse_note(changed.decode()), [LOG.key], check)


@pytest.mark.parametrize(
    "vkey",
    ["", "a", "a+b", "a+b+c", LOG.key.vkey[:-4], f"{LOG.key.vkey}\n", LOG.key.vkey.replace("hitl", "hit1"),
     LOG.key.vkey.replace("+2d", "+2D"), Key("hitl.example/audit", 2, bytes(32)).vkey, Key("a b", 1, bytes(32)).vkey],
)  # fmt: skip
def test_a_verifier_key_written_otherwise_is_refused(vkey: str) -> None:
    with pytest.raises(Malformed, match="verifier key"):
        notes.key_of(vkey)


def test_a_signing_key_is_read_as_it_was_written() -> None:
    line = notes.skey(LOG.key, bytes(range(32)))
    assert (LOG.key.name, LOG.key.id.hex(), bytes(range(32))) == notes.seed_of(line)
    for wrong in ("", "PRIVATE+KEY+a", line[:-5], line.replace("PRIVATE", "PUBLIC"), line + line):
        with pytest.raises(Malformed, match="A signing key is one line"):
            notes.seed_of(wrong)


def test_a_proof_is_written_as_specified() -> None:
    note = SIGNER.note(TEXT)
    assert notes.proof(3, [ROOT, bytes(32)], note) == (
        "c2sp.org/tlog-proof@v1\nindex 3\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n" + note
    )
    assert notes.proof(0, [], note) == f"c2sp.org/tlog-proof@v1\nindex 0\n\n{note}"
