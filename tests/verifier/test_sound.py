"""A bundle as Handrail makes it is sound, whoever reads it with whatever tool."""

import base64
import io
import json
import zipfile

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.domain.merkle import leaf_hash, root, verify_inclusion
from app.domain.notes import Checkpoint
from app.verifier.verify import signed
from tests.verifier.conftest import Verify
from tests.verifier.world import ORIGIN, Nodes, World, signer

KEY = signer()
RFC_8032 = [
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
]  # fmt: skip


def test_signatures_of_rfc_8032_hold_and_no_other_message_does() -> None:
    for public, message, signature in RFC_8032:
        key, text, raw = map(bytes.fromhex, (public, message, signature))
        assert signed(key, text, raw)
        assert not signed(key, text + b"x", raw)
        raised = (int.from_bytes(raw[32:], "little") + 2**252 + 27742317777372353535851937790883648493).to_bytes(
            32, "little"
        )
        assert not signed(key, text, raw[:32] + raised), "the same signature in other bytes"


def test_signatures_agree_with_another_implementation() -> None:
    for number in range(20):
        private = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
        public, raw = private.public_key().public_bytes_raw(), private.sign(b"some text")
        assert signed(public, b"some text", raw)
        flipped = bytearray(raw)
        flipped[number] ^= 1 << number % 8
        assert not signed(public, b"some text", bytes(flipped))


def test_a_whole_log_is_sound_under_its_key(verify: Verify) -> None:
    code, said = verify(World().some(3).bundle(KEY), "--key", KEY.vkeys[0])
    assert (0, True) == (code, "Nothing is missing: it is the whole log." in said)


def test_without_a_key_it_says_that_it_proves_not_whose_it_is(verify: Verify) -> None:
    world = World().some()
    assert "proves not whose" in verify(world.bundle(KEY))[1]
    assert "NOT SIGNED" in verify(world.bundle(None))[1]


def test_another_key_is_not_the_logs(verify: Verify) -> None:
    code, said = verify(World().some().bundle(KEY), "--key", signer(2).vkeys[0])
    assert (1, True) == (code, "none of the keys has signed it" in said)


def test_every_size_of_a_tree_is_proved(verify: Verify) -> None:
    world = World()
    for _ in range(40):
        world.submit()
        assert (0, "") == (verify(world.bundle(None))[0], "")


def test_a_part_of_the_log_is_sound_and_says_that_it_is_a_part(verify: Verify) -> None:
    world = World().some(3)
    for picked in (2, 3, 5):
        code, said = verify(world.bundle(KEY, only=lambda id, picked=picked: int(id[4:]) % picked == 0))
        assert (0, True) == (code, "a part of the log" in said)


def test_an_erased_decision_still_verifies(verify: Verify) -> None:
    world = World().some(2)
    for line in world.lines.values():
        world.erase(line)
    assert 0 == verify(world.bundle(KEY))[0]


def test_text_that_is_missing_without_an_erasure_is_found(verify: Verify) -> None:
    world = World().some()
    for line in list(world.lines.values())[:3]:
        world.erase(line, tell=False)
    code, said = verify(world.bundle(KEY))
    assert (1, 3) == (code, said.count("no event tells that it was erased"))


def test_an_older_checkpoint_is_held_against_the_log(verify: Verify) -> None:
    world = World().some(2)
    bundle = world.bundle(KEY, since=range(1, len(world.bodies)))
    for size in range(1, len(world.bodies) + 1):
        note = KEY.note(Checkpoint(ORIGIN, size, root(map(leaf_hash, world.bodies[:size]))).text)
        assert (0, True) == (lambda code, said: (code, "still begins" in said))(*verify(bundle, since=note))


def test_without_a_proof_from_the_older_size_it_says_how_to_get_one(verify: Verify) -> None:
    world = World().some()
    note = KEY.note(Checkpoint(ORIGIN, 3, root(map(leaf_hash, world.bodies[:3]))).text)
    code, said = verify(world.bundle(KEY), since=note)
    assert (1, True) == (code, "handrail export bundle --since" in said)


def test_the_proof_of_one_event_stands_alone(verify: Verify) -> None:
    world = World().some()
    wanted = json.loads(world.bodies[15])["id"]
    code, said = verify(world.bundle(KEY), "--event", wanted)
    heading, at, *hashes = said.split("\n\n")[0].split("\n")
    index, nodes = int(at.removeprefix("index ")), Nodes(world.bodies)
    path = [base64.b64decode(one) for one in hashes]
    assert (0, "c2sp.org/tlog-proof@v1") == (code, heading)
    assert 15 == index
    assert verify_inclusion(nodes(0, index), index, len(world.bodies), path, root(nodes.levels[0]))


def test_common_tools_read_the_zip() -> None:
    raw = World().some().bundle(KEY)
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert None is archive.testzip()
        assert b"print('verify')\n" == archive.read("verify.py")


def test_wrong_usage_is_told_apart(verify: Verify) -> None:
    with pytest.raises(SystemExit) as stopped:
        verify(b"", "--key", "nonsense")
    assert 2 == stopped.value.code
