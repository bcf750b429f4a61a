"""Owns what a review's screen says to whoever holds it, as text that is kept: later nobody can say they saw another."""

import os
from typing import Any

from app.actions import _views
from app.domain.access import Actor
from app.domain.canonical import dumps
from app.domain.commitments import SALT, SHOWN, commit
from app.store import decision_types, reviews
from app.store.db import ReadTx, WriteTx, new_id

Row = Any
STAYS = ("id", "kind", "queue", "tier", "stakes", "priority", "level", "blind", "required", "note", "due_at")


def content(tx: ReadTx, actor: Actor, review: Row, decision: Row) -> str:
    """Everything on the screen but clocks: the review, the decision as far as it is shown, what was said so far.

    Titles and guidance are those of the type's document and the thresholds those of the policy: both by digest.
    """
    hide = decision.id in _views.hidden(tx, actor, [decision])
    alone = hide or review.id in _views.unheard(tx, actor, [review])
    known: Row = decision_types.get(tx, review.decision_type)
    view = _views.review(review)
    said = {
        "verdicts": [_views.verdict(one) for one in reviews.verdicts(tx, [review.id])],
        "judgements": [_views.judgement(one) for one in reviews.judgements(tx, [review.id])],
    }
    mine = {
        name: [one for one in rows if not alone or one["person_id"] == actor.person_id] for name, rows in said.items()
    }
    shown = {name: view[name] for name in STAYS} | mine
    return dumps({"type_digest": known.digest, "review": shown, "decision": _views.decision(decision, hide=hide)})


def keep(tx: WriteTx, actor: Actor, review: Row, decision: Row) -> None:
    """Keep what the holder sees now."""
    row = {
        "id": new_id("shw"),
        "review_id": review.id,
        "decision_id": decision.id,
        "person_id": actor.person_id,
        "token": review.lease_token,
        "content": content(tx, actor, review, decision),
        "salt": os.urandom(SALT),
        "created_at": tx.now(),
    }
    reviews.insert_shown(tx, row)


def is_kept(tx: ReadTx, actor: Actor, review: Row, decision: Row) -> bool:
    """Whether what the holder sees now is what they saw last under this token."""
    last = reviews.last_shown(tx, review.id, str(actor.person_id))
    if last is None or last.token != review.lease_token:
        return False
    return bool(last.content == content(tx, actor, review, decision))


def last(tx: ReadTx, actor: Actor, review: Row) -> tuple[str | None, dict[str, str]]:
    """The id of what the actor saw last of the review, and the commitment to it; none where nothing was kept."""
    row = reviews.last_shown(tx, review.id, str(actor.person_id))
    if row is None or row.content is None:
        return None, {}
    return row.id, {SHOWN: commit(row.salt, SHOWN, row.content.encode())}
