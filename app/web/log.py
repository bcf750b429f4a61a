"""Owns the pages of the audit log: its checkpoint, an event with its proof, the consistency of two checkpoints."""

from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import Response

from app.actions import health, proofs, reading
from app.actions.proofs import Proof, Signed
from app.domain.access import P, declare
from app.domain.errors import Conflict, HandrailError, Invalid
from app.domain.merkle import climb
from app.domain.notes import MAX_SIZE
from app.web import render, titles
from app.web.ask import AnAsk, Ask
from app.web.errors import Page
from app.web.forms import wrong

router = APIRouter(route_class=Page, prefix="/audit")
TEXT: Final = "text/plain; charset=utf-8"


@router.get("/log")
@declare(P.READ_AUDIT)
def log_page(ask: AnAsk) -> Response:
    """How the log stands, what signs it, where its checkpoints went; and that a newer tree begins with an older one."""
    log, errors = proofs.log_of(ask.db, ask.me), {}
    try:
        compared = _compared(ask)
    except (Invalid, Conflict) as error:
        compared, errors = None, {fault.pointer.rpartition("/")[2]: _sentence(fault.detail) for fault in error.faults}
        errors = errors or {"": error.detail}
    signer = ask.request.app.state.signer
    return render.page(
        ask,
        "log.html",
        log=log.state,
        checkpoint=log.checkpoint,
        pushes=[dict(row._mapping) for row in log.pushes],
        origin=signer.origin,
        vkeys=signer.vkeys,
        witnesses=[key.vkey for key in ask.request.app.state.witnesses.keys],
        warnings=health.log_warnings(log.state, bool(signer.keys)),
        compared=compared,
        asked={name: ask.query.get(name, "") for name in ("from", "to")},
        errors=errors,
        status=422 if errors else 200,
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _compared(ask: Ask) -> dict[str, Any] | None:
    old, new = _size(ask, "from"), _size(ask, "to")
    if old is None:
        return None
    found = proofs.consistent(ask.db, old, new)
    return {
        "older": {"size": found.old, "root": found.old_root.hex()},
        "newer": {"size": found.new, "root": found.new_root.hex()},
        "path": [one.hex() for one in found.path],
    }


def _size(ask: Ask, name: str) -> int | None:
    text = ask.query.get(name, "").strip().replace(",", "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= MAX_SIZE):
        raise wrong(name, "Say the size of a checkpoint: a whole number.")
    return int(text)


@router.get("/log/checkpoint")
@declare(P.READ_AUDIT)
def checkpoint_file(ask: AnAsk) -> Response:
    """The newest checkpoint, to be kept."""
    found = proofs.checkpoint(ask.db)
    return _file(found.note, f"checkpoint-{found.size}.txt")


@router.get("/events/{event_id}")
@declare(P.READ_AUDIT)
def event_page(ask: AnAsk, event_id: str) -> Response:
    """One event as it is stored, and the path from it to the signed root."""
    view, stored = reading.event(ask.db, ask.me, event_id)
    proof, unproved = _proof(ask, event_id)
    ask.reads.event(ask.me, event_id, view["decision"], view["decision_type"])
    return render.page(
        ask,
        "event.html",
        event=view,
        title_text=titles.title_of(view),
        object_url=titles.link_to(view, ask.me),
        stored=stored,
        proof=proof and _shown(proof),
        checked=proof and _checked(ask, proof, stored),
        unproved=unproved,
    )


def _proof(ask: Ask, event_id: str) -> tuple[Proof | None, HandrailError | None]:
    try:
        return proofs.prove(ask.db, ask.me, event_id), None
    except Conflict as error:
        return None, error


def _shown(proof: Proof) -> dict[str, Any]:
    steps = climb(proof.leaf, proof.index, proof.checkpoint.size, proof.path)
    return {
        "index": proof.index,
        "leaf": proof.leaf.hex(),
        "steps": [{"left": left, "sibling": sibling.hex(), "node": node.hex()} for left, sibling, node in steps],
        "root": proof.checkpoint.root.hex(),
        "size": proof.checkpoint.size,
        "signed_at": proof.checkpoint.signed_at,
    }


def _checked(ask: Ask, proof: Proof, stored: str | None) -> dict[str, Any]:
    """What the page's own script checks again."""
    return {
        "body": stored,
        "leaf": proof.leaf.hex(),
        "index": proof.index,
        "path": [one.hex() for one in proof.path],
        **_signed(ask, proof.checkpoint),
    }


def _signed(ask: Ask, checkpoint: Signed) -> dict[str, Any]:
    vkeys = ask.request.app.state.signer.vkeys
    return {"size": checkpoint.size, "root": checkpoint.root.hex(), "note": checkpoint.note, "vkeys": vkeys}


@router.get("/events/{event_id}/proof")
@declare(P.READ_AUDIT)
def proof_file(ask: AnAsk, event_id: str) -> Response:
    """The proof as a C2SP tlog-proof."""
    proof = proofs.prove(ask.db, ask.me, event_id)
    ask.reads.event(ask.me, event_id, *proof.decision, part="proof")
    return _file(proof.text, f"{event_id}.tlog-proof")


def _file(text: str, name: str) -> Response:
    return Response(text, media_type=TEXT, headers={"Content-Disposition": f'attachment; filename="{name}"'})
