"""Owns the page that tells the teams how their decisions flow: each active policy in plain words, with live counts."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import Response

from app.actions import figures, policies, types
from app.domain.access import P, declare
from app.domain.decision_type import parse_decision_type
from app.domain.policy import parse_policy
from app.domain.policy_words import explain
from app.web import render, shown
from app.web.ask import AnAsk
from app.web.errors import Page

router = APIRouter(route_class=Page)
HOURS: Final = 24


@router.get("/flow")
@declare(P.READ_POLICIES)
def flow_page(ask: AnAsk) -> Response:
    counted = figures.by_type(ask.db, ask.me, HOURS)
    active = {one["slug"]: one["active"] for one in policies.overview(ask.db, ask.me)}
    found = types.list_types(ask.db, ask.me)
    flows = [_flow(one, active[one["slug"]], counted[one["slug"]]) for one in found if not one["archived"]]
    return render.page(ask, "flow.html", period=f"last {HOURS} hours", flows=flows)


def _flow(one: Mapping[str, Any], active: Mapping[str, Any] | None, counts: figures.TypeFigures) -> dict[str, Any]:
    policy = parse_policy(active["document"]) if active else None
    return {
        "slug": one["slug"],
        "title": one["title"],
        "owner": one["owner"] or "nobody named",
        "version": active and active["version"],
        "activated_at": active and active["activated_at"],
        "sentences": explain(policy, parse_decision_type(one["document"])) if policy else [],
        "levels": shown.levels_of(policy) if policy else [],
        "total": counts.total,
        "tiers": [{"tier": tier, "count": count} for tier, count in counts.tiers.items()],
        **{name: getattr(counts, name) for name in ("waiting", "overdue", "overridden", "overturned")},
    }
