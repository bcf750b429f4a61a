"""Bundles that were made to hurt end in a sentence: no traceback, no gigabytes, no minutes."""

import ast
import json
import resource
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from app.domain.bundle import Zip
from app.verifier import verify as verifier
from tests.verifier.conftest import Verify
from tests.verifier.world import Parts, World, signer, written

KEY = signer()
FILE = Path(verifier.__file__)
GIB = 1 << 30
ODD: list[Any] = [
    None,
    True,
    -1,
    2**70,
    1.5,
    "",
    "x",
    "\ud800",
    [],
    {},
    [[]],
    {"": {}},
    ["evt"],
    "9" * 5000,
    float("nan"),
]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) within a value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


@pytest.mark.parametrize("name", ["decisions.jsonl", "events.jsonl", "manifest.json"])
def test_a_value_of_any_other_kind_anywhere_ends_in_a_sentence(verify: Verify, name: str) -> None:
    world, random, found = World().some(), Random(name), 0
    for _ in range(250):
        parts = world.parts(KEY, since=[3])
        if name == "manifest.json":
            box, key = random.choice(places(parts.manifest))
            box[key] = random.choice(ODD)
        else:
            lines = parts.members[name].decode().splitlines()
            at = random.randrange(len(lines))
            row = json.loads(lines[at])
            box, key = random.choice(places([row]))
            box[key] = random.choice(ODD)
            lines[at] = json.dumps(row, separators=(",", ":"))
            parts.members[name] = "".join(f"{line}\n" for line in lines).encode()
        try:
            raw = written(parts)
        except (ValueError, UnicodeEncodeError):
            continue
        code, said = verify(raw)
        assert code in (0, 1)
        assert said.strip()
        found += code
    assert found > (10 if name == "manifest.json" else 150)


def test_an_event_of_any_odd_shape_under_a_good_signature_ends_in_a_sentence(verify: Verify) -> None:
    """The operator who holds the key seals what no Handrail would write."""
    random = Random(6)
    for _ in range(300):
        world = World().some()
        at = random.randrange(len(world.bodies))
        body = json.loads(world.bodies[at])
        box, key = random.choice(places([body]))
        box[key] = random.choice(ODD[:-1])
        try:
            world.bodies[at] = json.dumps(body).encode()
            raw = world.bundle(KEY)
        except UnicodeEncodeError:
            continue
        code, said = verify(raw)
        assert code in (0, 1)
        assert said.strip()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"index"', '{"more":1,"index"'),
        ('{"index"', '{"index":0,"index"'),
        ('{"index"', '{"body" :{},"index"'),
        (',"body":', ',"body" :'),
        (',"body":', ',"body":0,"body":'),
        (',"body":', ',"more":{"a":1},"body":'),
        ("}\n", "} \n"),
        ("}\n", ',"more":1}\n'),
        ("}\n", "}}\n"),
        ("}\n", "\n"),
    ],
)
def test_a_line_of_events_has_one_form_so_that_all_who_read_it_read_the_same(
    verify: Verify, before: str, after: str
) -> None:
    def edit(parts: Parts) -> None:
        told = parts.members["events.jsonl"].decode()
        assert before in told
        parts.members["events.jsonl"] = told.replace(before, after, 1).encode()

    code, said = verify(World().some().bundle(KEY, edit))
    assert (1, True) == (code, said.startswith("events.jsonl, line 1: "))


def test_random_bytes_are_no_bundle(verify: Verify) -> None:
    random, good = Random(7), World().some().bundle(KEY)
    for size in [0, 1, 97, 98, 99, *range(100, 600)]:
        assert 1 == verify(random.randbytes(size))[0]
        assert 1 == verify(random.randbytes(size) + good[-98:])[0]


def in_little_memory(path: Path, *, seconds: int = 60) -> tuple[int, str]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (GIB, GIB))

    done = subprocess.run(
        [sys.executable, "-I", str(FILE), str(path)], capture_output=True, text=True, timeout=seconds, preexec_fn=limit
    )
    return done.returncode, done.stderr


def bomb(name: str, chunk: bytes, times: int) -> bytes:
    """A bundle, well formed as a zip, one member of which is this very often."""
    parts = World().some().parts(None)
    archive, out = Zip(), b""
    for member, content in (parts.members | {"checkpoint.txt": parts.checkpoint.encode()}).items():
        chunks = (chunk for _ in range(times)) if member == name else [content]
        out += b"".join(archive.deflated(member, chunks))
    files = {
        n: {"bytes": f.bytes, "sha256": f.sha256, "packed_sha256": f.packed_sha256} for n, f in archive.files.items()
    }
    out += archive.stored("manifest.json", json.dumps(parts.manifest | {"files": files}).encode())
    return out + archive.ended()


@pytest.mark.parametrize(
    ("name", "chunk", "times"),
    [
        ("events.jsonl", bytes(1 << 20), 2000),
        ("events.jsonl", b"[" * (1 << 20), 12),
        ("events.jsonl", b"[{}," * (1 << 18), 12),
        ("events.jsonl", b'{"a":' * 5000 + b"\n", 1),
        ("decisions.jsonl", b'"",' * (1 << 18), 12),
        ("decisions.jsonl", b"9" * (1 << 16), 12),
        ("decisions.jsonl", b'"' + b"\\\\\\\"" * (1 << 18), 12),
        ("decisions.jsonl", b"\n" * (1 << 20), 100),
        ("decisions.csv", bytes(1 << 20), 2000),
        ("people.csv", bytes(1 << 20), 2000),
        ("checkpoint.txt", bytes(1 << 20), 2000),
        ("verify.py", bytes(1 << 20), 500),
    ],
)  # fmt: skip
def test_bombs_take_neither_the_memory_nor_the_day(tmp_path: Path, name: str, chunk: bytes, times: int) -> None:
    path = tmp_path / "bomb.zip"
    path.write_bytes(bomb(name, chunk, times))
    code, said = in_little_memory(path)
    expected = 0 if name == "verify.py" else 1
    assert (expected, False) == (code, "Traceback" in said), said[-300:]


def test_sizes_that_lie_are_found(verify: Verify) -> None:
    world = World().some()

    def lie(parts: Parts) -> None:
        for name in parts.manifest["counts"]:
            parts.manifest["counts"][name] += 1

    code, said = verify(world.bundle(KEY, lie))
    assert (1, 6) == (code, said.count("The manifest counts"))
    assert 1 == verify(world.bundle(KEY, lambda parts: parts.manifest.update(whole_log=True), only=lambda id: False))[0]


def test_its_syntax_is_that_of_the_python_that_the_docs_promise() -> None:
    assert ast.parse(FILE.read_text(), feature_version=(3, 9)).body
    assert "3.9" in FILE.with_name("VERIFY.md").read_text()


def test_what_it_prints_is_utf_8_on_every_terminal(tmp_path: Path) -> None:
    path, world = tmp_path / "bundle.zip", World().some()
    path.write_bytes(world.bundle(KEY))
    asked = [sys.executable, str(FILE), str(path), "--event", json.loads(world.bodies[3])["id"]]
    done = subprocess.run(asked, capture_output=True, env={"PYTHONIOENCODING": "ascii", "PATH": ""}, cwd=tmp_path)
    assert (0, True, False) == (done.returncode, "\n— ".encode() in done.stdout, b"\r" in done.stdout)


def test_the_file_runs_alone_and_imports_nothing_but_pythons_own(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(World().some().bundle(KEY))
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(FILE), str(path)], capture_output=True, text=True, cwd=tmp_path
    )
    assert (0, "") == (done.returncode, done.stderr)
