"""Owns where templates, migrations and static files lie: beside the checkout, or inside the installed wheel."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
STATIC = PACKAGE / "static"


def _travelling(name: str) -> Path:
    bundled = PACKAGE / "_bundled" / name
    return bundled if bundled.exists() else PACKAGE.parent / name


TEMPLATES = _travelling("templates")
MIGRATIONS = _travelling("migrations")
