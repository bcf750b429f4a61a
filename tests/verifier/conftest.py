"""What the tests of the verifier share: running it on bytes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.verifier.verify import main

Verify = Callable[..., tuple[int, str]]


@pytest.fixture
def verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Verify:
    """Run the verifier on a bundle's bytes; gives its exit code and what it said."""

    def run(bundle: bytes, *options: str, since: str | None = None) -> tuple[int, str]:
        path = tmp_path / "bundle.zip"
        path.write_bytes(bundle)
        more: list[str] = []
        if since is not None:
            (tmp_path / "old.txt").write_text(since, encoding="utf-8")
            more = ["--since", str(tmp_path / "old.txt")]
        code = main([str(path), *options, *more])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out + said.err

    return run
