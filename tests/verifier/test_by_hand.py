"""The check by hand of docs/audit.md is run as it is written there."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from app.domain.notes import Signer
from app.verifier import verify

from .world import ORIGIN, Edit, Parts, World, signer

DOCS = Path(__file__).parents[2] / "docs" / "audit.md"
TOOLS = ("bash", "unzip", "sha256sum", "jq", "xxd", "openssl", "python3")
KEY = signer()

pytestmark = pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="its tools are not all installed")


def by_hand(raw: bytes, folder: Path, line: int, vkey: str = KEY.vkeys[0]) -> tuple[int, list[str], str]:
    """The exit code, what it printed, and its errors."""
    file = folder / "bundle.zip"
    file.write_bytes(raw)
    section = DOCS.read_text().partition("## Check a bundle by hand")[2]
    script = section.partition("```sh\n")[2].partition("```")[0]
    said = dict(os.environ, BUNDLE=str(file), VKEY=vkey, LINE=str(line))
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script], cwd=folder, env=said, capture_output=True, text=True
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def made(edit: Edit = lambda parts: None) -> bytes:
    def both(parts: Parts) -> None:
        parts.members["verify.py"] = Path(verify.__file__).read_bytes()
        edit(parts)

    return World().some(2).bundle(KEY, both)


@pytest.mark.parametrize("line", [1, 7, 40])
def test_a_sound_bundle_gives_equal_lines(line: int, tmp_path: Path) -> None:
    code, said, errors = by_hand(made(), tmp_path, line)
    assert (0, "") == (code, errors)
    signed = "Signature Verified Successfully"
    assert [said[0], signed, signed, said[4], said[6], said[8]] == [said[n] for n in (1, 2, 3, 5, 7, 9)]
    assert 10 == len(said)


def test_each_of_two_keys_is_found_while_one_gives_way_to_the_other(tmp_path: Path) -> None:
    both = Signer(ORIGIN, signer(1).keys + signer(2).keys)
    world = World().some()
    world.erase(world.lines[min(world.lines)])
    raw = world.bundle(both, lambda parts: parts.members.update({"verify.py": Path(verify.__file__).read_bytes()}))
    for number, vkey in enumerate(both.vkeys):
        (folder := tmp_path / str(number)).mkdir()
        code, said, errors = by_hand(raw, folder, 1, vkey)
        assert (0, "", 10) == (code, errors, len(said))
        assert (said[4], said[6], said[8]) == (said[5], said[7], said[9])


def test_a_text_that_was_changed_opens_no_commitment(tmp_path: Path) -> None:
    def edit(parts: Parts) -> None:
        text = parts.members["decisions.jsonl"]
        parts.members["decisions.jsonl"] = text.replace(b"\\u00fcber", b"under", 1).replace(
            "über".encode(), b"under", 1
        )

    _, said, _ = by_hand(made(edit), tmp_path, 7)
    assert (False, True) == (said[4] == said[5], said[6] == said[7])


def test_an_event_that_was_left_out_is_missed_in_the_count(tmp_path: Path) -> None:
    def edit(parts: Parts) -> None:
        parts.members["events.jsonl"] = b"".join(parts.members["events.jsonl"].splitlines(keepends=True)[:-1])

    _, said, _ = by_hand(made(edit), tmp_path, 7)
    assert (True, False) == (said[4] == said[5], said[6] == said[7])


def test_a_manifest_that_another_key_signed_is_refused(tmp_path: Path) -> None:
    def edit(parts: Parts) -> None:
        parts.key = signer(9)

    code, _, _ = by_hand(made(edit), tmp_path, 7)
    assert 0 != code
