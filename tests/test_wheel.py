"""What is installed from the wheel works from any folder: templates, migrations, samples and static files travel."""

import os
import re
import socket
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `handrail` of a fresh environment that has the wheel, and borrows its dependencies from ours."""
    home = tmp_path_factory.mktemp("env")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    (packages,) = home.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install"]
    subprocess.run([*pip, "--quiet", "--no-deps", "--no-index", str(wheel)], check=True, capture_output=True)
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return home / "bin" / "handrail"


def environment() -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HANDRAIL_", "PYTHON"))}
    return clean | {"HANDRAIL_SECRET_KEY": "s" * 40}


def ran(installed: Path, folder: Path, *args: str) -> str:
    done = subprocess.run([installed, *args], cwd=folder, env=environment(), text=True, capture_output=True, check=True)
    return done.stdout


@contextmanager
def serving(installed: Path, folder: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [installed, "serve", "--port", str(port)]
    with subprocess.Popen(command, cwd=folder, env=environment(), text=True, stderr=subprocess.PIPE) as process:
        assert process.stderr
        said = next(line for line in process.stderr if "listens" in line)
        assert str(port) in said
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def test_the_wheel_holds_what_runs_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    needed = {"app/_bundled/templates/base.html", "app/_bundled/migrations/env.py", "app/samples/refund.yaml"}
    needed |= {"app/verifier/verify.py", "app/verifier/VERIFY.md"}
    assert set() == needed - names
    assert {"app"} == {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert [] == [name for name in names if name.endswith((".pyc", ".db"))]


def test_the_installed_program_runs_from_any_folder(installed: Path, tmp_path: Path) -> None:
    assert "migrate" in ran(installed, tmp_path, "--help")
    assert "The schema is at" in ran(installed, tmp_path, "migrate")
    assert ["var"] == [path.name for path in tmp_path.iterdir()]


def test_the_installed_program_serves_pages_and_what_they_need(installed: Path, tmp_path: Path) -> None:
    with serving(installed, tmp_path) as url, httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        page = client.get("/sign-in")
        parts = re.findall(r'(?:href|src)="(/static/[^"#]+)', page.text)
        answers = {part: client.get(part).status_code for part in parts}
    assert 200 == page.status_code
    assert any(part.endswith(".css") or ".css?" in part for part in parts)
    assert {200} == set(answers.values())
