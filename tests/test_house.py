"""The rules of the house that no linter knows."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from app.cli import cli
from app.domain.events import EventType
from app.settings import Settings
from app.store import tables

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "app").rglob("*.py"))
DOCS = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
IMPURE = {
    "time",
    "random",
    "secrets",
    "os",
    "pathlib",
    "socket",
    "httpx",
    "sqlalchemy",
    "sqlmodel",
    "fastapi",
    "threading",
}


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_opens_by_saying_what_it_owns_and_stays_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), "say what the module owns"
    # The verifier must be one file, as an auditor takes it away alone.
    assert len(text.splitlines()) <= (900 if path.name == "verify.py" else 400)


@pytest.mark.parametrize("path", sorted((ROOT / "app" / "domain").glob("*.py")), ids=lambda path: path.stem)
def test_the_domain_is_pure(path: Path) -> None:
    assert set() == {name.split(".")[0] for name in imported(path)} & IMPURE


@pytest.mark.parametrize("layer", ["actions", "store"])
def test_siblings_do_not_import_each_other(layer: str) -> None:
    shared = {"db", "tables"}
    siblings = {path.stem for path in (ROOT / "app" / layer).glob("*.py")}
    private = {name for name in siblings if not name.startswith("_") and name not in shared}
    for path in (ROOT / "app" / layer).glob("*.py"):
        named = {name.removeprefix(f"app.{layer}.").split(".")[0] for name in imported(path) if f"app.{layer}." in name}
        assert set() == named & private, path.name


def uses(path: Path) -> set[str]:
    """The dotted name of everything that a module of ours imports, or names."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own, known, found = dotted(path), {}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            known |= {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            found.add(known.get(node.id, f"{own}.{node.id}"))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{known.get(node.value.id, node.value.id)}.{node.attr}")
    return found | set(known.values())


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def made(path: Path) -> set[str]:
    """The dotted name of every function and class of a module; routes call handlers, SQLAlchemy calls spellings."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    nodes = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, kinds)]
    routed = {
        node.name
        for node in nodes
        if any(re.match(r"\w*router\.|compiles\(", ast.unparse(one)) for one in node.decorator_list)
    }
    return {f"{dotted(path)}.{node.name}" for node in nodes if node.name not in routed}


def test_nothing_is_made_that_nobody_uses() -> None:
    used = {name for path in MODULES for name in uses(path)}
    assert [] == sorted({name for path in MODULES for name in made(path)} - used)


def test_only_the_seam_and_the_migrations_name_a_dialect() -> None:
    name = re.compile(r"""sqlalchemy\.dialects|["']postgresql["']""")
    named = {path.name for path in MODULES if name.search(path.read_text(encoding="utf-8"))}
    assert {"db.py", "_bulk.py", "_engines.py", "_spelling.py"} == named


def test_every_route_declares_what_it_needs(app: FastAPI) -> None:
    silent = [path for path, endpoint in routes(app) if not hasattr(endpoint, "__permission__")]
    assert [] == silent


def test_every_api_route_is_in_the_docs(app: FastAPI) -> None:
    paths = {path for path, _ in routes(app) if path.startswith("/api/v1/")}
    shape = re.compile(r"\{[^}]*\}")
    known = shape.sub("{}", DOCS["api.md"])
    assert [] == sorted(p for p in paths if shape.sub("{}", p.removeprefix("/api/v1")) not in known)


def routes(app: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """(path, endpoint) of everything mounted, included routers and all."""
    found = []
    for route in app.routes:
        if hasattr(route, "endpoint"):
            found.append((prefix + route.path, route.endpoint))
        elif hasattr(route, "original_router"):
            found += routes(route.original_router, prefix + route.include_context.prefix)
    return found


def test_the_walk_over_routes_sees_both_doors(app: FastAPI) -> None:
    paths = {path for path, _ in routes(app)}
    assert {"/api/v1/decisions", "/api/v1/claims", "/queue", "/sign-in", "/livez"} <= paths


def test_every_setting_is_documented() -> None:
    missing = [name for name in Settings.model_fields if f"`HANDRAIL_{name.upper()}`" not in DOCS["operations.md"]]
    assert [] == missing


def test_every_command_is_documented() -> None:
    names = [one.name or one.callback.__name__ for one in cli.registered_commands if one.callback]
    names += [
        f"{group.name} {one.name}"
        for group in cli.registered_groups
        for one in group.typer_instance.registered_commands
    ]  # type: ignore[union-attr]
    assert [] == [name for name in names if f"`handrail {name}" not in DOCS["operations.md"]]


def test_every_event_is_documented() -> None:
    assert [] == [kind.value for kind in EventType if f"`{kind.value}`" not in DOCS["audit.md"]]


def test_templates_hold_no_inline_script_style_or_handler() -> None:
    forbidden = re.compile(r"<script>|<style|style=\"|\son[a-z]+=\"")
    bad = [p.name for p in (ROOT / "templates").rglob("*.html") if forbidden.search(p.read_text(encoding="utf-8"))]
    assert [] == bad


def test_no_front_end_file_is_too_long() -> None:
    files = [
        p
        for kind in ("css", "js", "html")
        for place in ("app/static", "templates")
        for p in (ROOT / place).rglob(f"*.{kind}")
    ]
    own = [p for p in files if "vendor" not in p.parts]
    assert [] == [p.name for p in own if len(p.read_text(encoding="utf-8").splitlines()) > 400]


def test_what_people_said_and_what_happened_is_append_only() -> None:
    said = {"event", "judgement", "verdict", "type_revision", "shown"}
    sealed = {"sealed", "tile", "checkpoint", "cosignature"}
    assert said | sealed == {table.name for table in tables.APPEND_ONLY}
