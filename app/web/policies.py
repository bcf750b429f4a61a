"""Owns the pages of policies: list, versions and editor, one version, the difference of two, activating."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from textwrap import shorten
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from fastapi.responses import Response

from app.actions import figures, policies, types
from app.domain.access import P, declare
from app.domain.decision_type import parse_decision_type
from app.domain.errors import Fault, Invalid
from app.domain.policy import parse_policy
from app.domain.policy_diff import diff
from app.domain.policy_words import explain
from app.web import render, shown
from app.web.ask import AnAsk, Ask
from app.web.errors import Page, status_of
from app.web.forms import MAX_DOCUMENT, wrong

router = APIRouter(route_class=Page, prefix="/policies")
Version = Annotated[int, Path(ge=1, le=2**31 - 1)]
MAX_NOTE: Final = 500
MAX_WARNING: Final = 600  # characters in a notice, which is a cookie
CONTEXT: Final = 3  # unchanged lines around a change


@router.get("")
@declare(P.READ_POLICIES)
def list_page(ask: AnAsk) -> Response:
    """Each type with its active version and how much goes alone."""
    counted = figures.by_type(ask.db, ask.me)
    rows = [_row(one, counted[one["slug"]]) for one in policies.overview(ask.db, ask.me)]
    return render.page(ask, "policies.html", policies=rows)


def _row(one: Mapping[str, Any], counts: figures.TypeFigures) -> dict[str, Any]:
    active = one["active"] or {}
    return {
        **{name: one[name] for name in ("slug", "title", "drafts", "proposed")},
        "owner": one["owner"] or "nobody named",
        "active_version": active.get("version"),
        "activated_at": active.get("activated_at"),
        "activated_by": active.get("activated_by_name"),
        "autonomous_share": counts.autonomous_share,
        "decisions_24h": counts.total,
    }


@router.get("/{slug}")
@declare(P.READ_POLICIES)
def policy_page(ask: AnAsk, slug: str) -> Response:
    """Every version, and the editor for a new one."""
    return _editor(ask, slug)


@router.post("/{slug}")
@declare(P.EDIT_POLICIES)
def save_draft(ask: AnAsk, slug: str) -> Response:
    """Keep what was typed as a draft, or say every fault of it and keep it in the editor."""
    try:
        note = ask.form.text("note", MAX_NOTE) or None
        kept = policies.draft(ask.db, ask.me, slug, _source(ask), note)
    except Invalid as error:
        return _editor(ask, slug, error=error)
    doubtful = " ".join(f"Warning: {one['pointer']} {one['detail']}" for one in kept["warnings"])
    done = f"Version {kept['version']} is kept as a draft. {shorten(doubtful, MAX_WARNING, placeholder=' …')}"
    return ask.go(f"/policies/{slug}/{kept['version']}", done.strip())


@router.post("/{slug}/validate")
@declare(P.EDIT_POLICIES)
def check(ask: AnAsk, slug: str) -> Response:
    """Say what is wrong with what was typed; nothing is kept."""
    try:
        doubtful = policies.validate(ask.db, ask.me, slug, _source(ask))
    except Invalid as error:
        return _editor(ask, slug, error=error)
    return _editor(ask, slug, checked=True, doubtful=doubtful)


def _source(ask: Ask) -> str:
    return ask.form.raw("source", MAX_DOCUMENT)


def _editor(
    ask: Ask, slug: str, *, checked: bool = False, doubtful: Sequence[Fault] = (), error: Invalid | None = None
) -> Response:
    known = types.get_type(ask.db, ask.me, slug)
    found = policies.versions(ask.db, ask.me, slug)
    faults = error.faults if error else ()
    of_note = [fault.detail for fault in faults if fault.pointer == "/note"]
    problems = [{"path": fault.pointer, "detail": fault.detail} for fault in faults if fault.pointer != "/note"]
    if error and not faults:
        problems = [{"path": "", "detail": error.detail}]
    names = ("version", "state", "created_at", "note", "activated_at")
    newest = found[0]["source"] if found else f"decision_type: {slug}\n"
    return render.page(
        ask,
        "policy.html",
        status=status_of(error) if error else 200,
        type={"slug": slug, "title": known["title"]},
        active_version=known["active_version"],
        versions=[{name: one[name] for name in names} | {"created_by": one["created_by_name"]} for one in found],
        source=ask.form.fields.get("source", [newest])[-1],
        checked=checked or bool(problems),
        problems=problems,
        warnings=[{"path": one.pointer, "detail": one.detail} for one in doubtful],
        form=ask.form.typed(),
        errors={"note": of_note[0]} if of_note else {},
    )


@router.get("/{slug}/diff")
@declare(P.READ_POLICIES)
def diff_page(ask: AnAsk, slug: str) -> Response:
    """What another version changes, in words and line by line."""
    known = types.get_type(ask.db, ask.me, slug)
    versions = {one["version"]: one for one in policies.versions(ask.db, ask.me, slug)}
    older, newer = (_chosen(versions, name, ask.query.get(name, "")) for name in ("from", "to"))
    changes = diff(parse_policy(older["document"]), parse_policy(newer["document"]))
    return render.page(
        ask,
        "policy_diff.html",
        type={"slug": slug, "title": known["title"]},
        older=older["version"],
        newer=newer["version"],
        versions=list(versions),
        changes=[{"text": one.text, "direction": one.direction.value} for one in changes],
        lines=list(_lines(older["source"], newer["source"])),
    )


def _chosen(versions: Mapping[int, dict[str, Any]], name: str, text: str) -> dict[str, Any]:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    if number not in versions:
        raise wrong(name, f"Say which version in {name}: it must be one of this policy's.")
    return versions[number]


def _lines(older: str, newer: str) -> Iterator[dict[str, str]]:
    kinds = {"+": "add", "-": "del", " ": "same", "@": "gap"}
    found = difflib.unified_diff(older.splitlines(), newer.splitlines(), lineterm="", n=CONTEXT)
    for number, line in enumerate(found):
        if number > 2:  # after the two headers and the first place
            yield {"kind": kinds[line[0]], "text": "…" if line[0] == "@" else line[1:]}


@router.get("/{slug}/{version}")
@declare(P.READ_POLICIES)
def version_page(ask: AnAsk, slug: str, version: Version) -> Response:
    """One version: in plain words, as a table, as it was typed."""
    known = types.get_type(ask.db, ask.me, slug)
    row = policies.get_version(ask.db, ask.me, slug, version)
    policy = parse_policy(row["document"])
    names = ("version", "state", "digest", "created_at", "note", "activated_at", "source")
    return render.page(
        ask,
        "policy_version.html",
        type={"slug": slug, "title": known["title"]},
        active_version=known["active_version"],
        policy={
            **{name: row[name] for name in names},
            "created_by": row["created_by_name"],
            "activated_by": row["activated_by_name"],
        },
        sentences=explain(policy, parse_decision_type(known["document"])),
        levels=shown.levels_of(policy),
        may_activate=ask.me.may(P.EDIT_POLICIES, slug) and row["state"] != "active",
        activate_hint=None,
    )


@router.post("/{slug}/{version}/propose")
@declare(P.EDIT_POLICIES)
def propose(ask: AnAsk, slug: str, version: Version) -> Response:
    policies.propose(ask.db, ask.me, slug, version)
    return ask.go(f"/policies/{slug}/{version}", f"Version {version} is proposed.")


@router.post("/{slug}/{version}/activate")
@declare(P.EDIT_POLICIES)
def activate(ask: AnAsk, slug: str, version: Version) -> Response:
    """Let this version route from the next decision on."""
    policies.activate(ask.db, ask.me, slug, version)
    return ask.go(f"/policies/{slug}/{version}", f"Version {version} is active from the next decision on.")
