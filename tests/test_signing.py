"""Signing keys: made for their owner alone, read only so, and each refusal a sentence that says what would be right."""

from pathlib import Path
from typing import Any

import pytest

from app import signing
from app.domain import notes
from app.domain.errors import HandrailError
from app.settings import Settings
from tests import factories

ORIGIN = "handrail.example/audit"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "signing.key"
    signing.create_key(path, ORIGIN)
    return path


def settings(*files: Path, **changes: Any) -> Settings:
    return Settings(signing_key_file=files, **({"origin": ORIGIN} | changes))


def test_a_key_is_made_for_its_owner_alone_and_signs_what_its_public_half_verifies(tmp_path: Path) -> None:
    key = signing.create_key(tmp_path / "a", ORIGIN)
    assert 0o600 == (tmp_path / "a").stat().st_mode & 0o777
    signer = signing.signer_of(settings(tmp_path / "a"))
    assert (ORIGIN, (key.vkey,)) == (signer.origin, signer.vkeys)
    assert [key] == notes.signers(notes.parse_note(signer.note("text\n")), [notes.key_of(key.vkey)], signing.check)


def test_a_key_never_overwrites_a_file(key: Path) -> None:
    before = key.read_text()
    with pytest.raises(FileExistsError):
        signing.create_key(key, ORIGIN)
    assert before == key.read_text()


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601, 0o700])
def test_a_key_that_others_may_read_is_refused(key: Path, mode: int) -> None:
    key.chmod(mode)
    with pytest.raises(HandrailError, match=f"has the mode {mode:04o}.*chmod 600"):
        signing.signer_of(settings(key))


def test_a_key_of_mode_0400_is_taken(key: Path) -> None:
    key.chmod(0o400)
    assert 1 == len(signing.signer_of(settings(key)).keys)


def test_two_keys_sign_during_a_rotation(key: Path, tmp_path: Path) -> None:
    signing.create_key(tmp_path / "next", ORIGIN)
    assert 2 == len(signing.signer_of(settings(key, tmp_path / "next")).keys)
    assert (key, tmp_path / "next") == Settings(signing_key_file=f"{key}, {tmp_path / 'next'}").signing_key_file


def test_one_key_named_twice_is_refused(key: Path) -> None:
    with pytest.raises(HandrailError, match="names one key twice"):
        signing.signer_of(settings(key, key))


def test_a_key_for_another_origin_is_refused(key: Path) -> None:
    with pytest.raises(HandrailError, match=r"holds a key of handrail\.example/audit, but HANDRAIL_ORIGIN says other"):
        signing.signer_of(settings(key, origin="other"))


@pytest.mark.parametrize("wrong", ["", "nonsense", "PRIVATE+KEY+a+b+c", "\xff" * 2000])
def test_a_file_that_holds_no_key_is_refused(key: Path, wrong: str) -> None:
    key.write_bytes(wrong.encode("latin-1"))
    with pytest.raises(HandrailError, match=r"signing\.key: A signing key is one line"):
        signing.signer_of(settings(key))


def test_a_key_whose_id_is_of_another_is_refused(key: Path) -> None:
    parts = key.read_text().split("+", 4)
    key.write_text("+".join([*parts[:3], "00000000", parts[4]]))
    with pytest.raises(HandrailError, match="00000000 is not that of the key"):
        signing.signer_of(settings(key))


def test_an_origin_that_cannot_be_written_in_a_note_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HandrailError, match="HANDRAIL_ORIGIN: An origin is a name without spaces"):
        signing.signer_of(settings(origin="our log"))
    with pytest.raises(HandrailError, match="An origin is a name without spaces"):
        signing.create_key(tmp_path / "b", "a+b")


@pytest.mark.parametrize(
    ("url", "origin"),
    [("https://hr.example.org/", "hr.example.org"), ("http://127.0.0.1:8000", "127.0.0.1:8000"),
     ("https://example.org/hr/", "example.org/hr")],
)  # fmt: skip
def test_the_origin_is_the_public_url_without_its_scheme_unless_given(url: str, origin: str) -> None:
    assert origin == Settings(public_url=url).log_origin
    assert "given" == Settings(public_url=url, origin="given").log_origin


def test_witnesses_are_those_of_the_settings(key: Path) -> None:
    vkey = factories.witness().key.vkey
    assert (vkey,) == tuple(one.vkey for one in signing.witnesses_of(settings(witnesses=(vkey,))).keys)
    with pytest.raises(HandrailError, match="verifier key"):
        signing.witnesses_of(settings(witnesses=("nonsense",)))
    notary = signing.create_key(key.parent / "w", "notary.example").vkey
    with pytest.raises(HandrailError, match=r"key of notary\.example signs notes"):
        signing.witnesses_of(settings(witnesses=(vkey, notary)))


def test_a_signature_of_another_message_or_key_does_not_hold(key: Path) -> None:
    (one,) = signing.signer_of(settings(key)).keys
    signature = one.sign(b"message")
    assert signing.check(one.key.public, b"message", signature)
    assert not signing.check(one.key.public, b"massage", signature)
    assert not signing.check(bytes(32), b"message", signature)
    assert not signing.check(b"short", b"message", signature)
