"""Owns every wire shape of the API at a glance. Must not decide anything: shapes, limits and examples."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Short = Annotated[str, Field(min_length=1, max_length=200)]
Share = Annotated[float, Field(ge=0, le=1)]
Json = dict[str, Any]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-11-24T09:08:00.000000Z"])]
TierName = Literal["autonomous", "review_required", "human_decides"]
StatusName = Literal["pending", "final", "cancelled"]
DECISION = "dec_0193d5a0-7c1e-7d2a-9a53-2f1c0f4b8a11"
REVIEW = "rev_0193d5a0-7c1f-7b04-8f0e-51c3c9f9a0d2"


class Asked(BaseModel):
    """What comes in: keys that are not known are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Told(BaseModel):
    """What goes out: later versions may add keys."""


class Model(Asked):
    name: Short = Field(examples=["refund-risk"])
    version: Short | None = Field(default=None, examples=["2026-10-01"])


class Proposal(Asked):
    """What the AI would do. Without a confidence, people decide."""

    outcome: Short = Field(examples=["approve"])
    confidence: Share | None = Field(default=None, examples=[0.83])
    scores: dict[str, Share] | None = None
    explanation: Annotated[str, Field(max_length=20_000)] | None = None
    arguments: Json | None = None


class NewDecision(Asked):
    """One thing that an AI service proposes."""

    decision_type: Short = Field(examples=["refund"])
    external_id: Short | None = Field(default=None, examples=["ticket-4711"])
    subject: Short | None = Field(default=None, examples=["order 4711"])
    model: Model
    proposal: Proposal
    stakes: Short | None = Field(default=None, description="May raise what the policy finds, never lower it.")
    input: Json = Field(examples=[{"amount_cents": 12900, "customer": {"vip": False}}])
    metadata: Json = Field(default_factory=dict)


class NewBatch(Asked):
    """Up to 1,000 decisions; a bare list of them is taken as well."""

    items: Annotated[list[NewDecision], Field(min_length=1, max_length=1000)]


class NewClaim(Asked):
    queue: Short | None = Field(default=None, examples=["refunds"])


class Lease(Asked):
    token: Annotated[int, Field(ge=0)] = Field(examples=[1])


class FreedLease(Asked):
    token: Annotated[int, Field(ge=0)] | None = Field(default=None, examples=[1])


class NewVerdict(Asked):
    """What a reviewer says, under the token of their lease."""

    token: Annotated[int, Field(ge=0)] = Field(examples=[1])
    action: Literal["approve", "override", "decide", "escalate", "abstain"] = Field(examples=["override"])
    outcome: Short | None = Field(default=None, examples=["deny"])
    reason_code: Short | None = Field(default=None, examples=["fraud"])
    rationale: Annotated[str, Field(max_length=5_000)] | None = Field(default=None, examples=["Two refunds this week."])


class NewType(Asked):
    """The document of a decision type; docs/policy.md tells each key."""

    model_config = ConfigDict(extra="allow")
    slug: str | None = None
    title: str
    owner: str | None = None
    outcomes: list[Json]
    reason_codes: list[Json] | None = None
    input_schema: Json | None = None
    guidance: str | None = None
    queue: str | None = None


class NewPolicy(Asked):
    """A policy as YAML or JSON text (`source`), or as an object (`document`): one of the two."""

    source: Annotated[str, Field(min_length=1, max_length=65_536)] | None = None
    document: Json | None = None
    note: Annotated[str, Field(max_length=2_000)] | None = None


class Empty(Asked):
    """An empty object; the body may be left out altogether."""


class Reason(Told):
    code: str = Field(examples=["below_autonomous"])
    text: str = Field(examples=["confidence 0.83 is below 0.97, which medium stakes need to go through alone"])


class PolicyRef(Told):
    version: int = Field(examples=[3])
    digest: str = Field(examples=["sha256:" + "0" * 64])


class ReviewRef(Told):
    id: str = Field(examples=[REVIEW])
    queue: str = Field(examples=["refunds"])
    due_at: Moment


class EventRef(Told):
    id: str = Field(examples=["evt_0193d5a0-7c20-7111-8f0e-51c3c9f9a0d2"])


class Receipt(Told):
    """Keep it: that this event will be in the audit tree is promised over the log's signature (docs/audit.md)."""

    event_id: str = Field(examples=["evt_0193d5a0-7c20-7111-8f0e-51c3c9f9a0d2"])
    leaf_hash: str = Field(examples=["9d1f" * 16])
    promise: str | None = Field(description="A signed note (C2SP signed-note); null without a signing key.")


class Submitted(Told):
    """May I act, or must I wait."""

    id: str = Field(examples=[DECISION])
    status: StatusName
    tier: TierName
    stakes: str = Field(examples=["medium"])
    outcome: str | None
    reasons: list[Reason]
    policy: PolicyRef | None
    sampled: bool
    review: ReviewRef | None
    event: EventRef | None = None
    receipt: Receipt | None = None


class FaultShape(Told):
    pointer: str = Field(description="RFC 6901; under /query or /path for parameters.", examples=["/proposal/outcome"])
    detail: str = Field(examples=["The outcome must be one of approve, deny."])


class ProblemShape(Told):
    """RFC 9457. `code` is stable; the table is in docs/api.md."""

    model_config = ConfigDict(title="Problem", extra="allow")
    type: str = Field(examples=["urn:handrail:problem:unknown_outcome"])
    title: str
    status: int
    detail: str
    code: str = Field(examples=["unknown_outcome"])
    errors: list[FaultShape]
    request_id: str | None


class BatchResult(Told):
    """One of `decision` and `problem` is there."""

    status: int = Field(examples=[201])
    decision: Submitted | None = None
    problem: ProblemShape | None = None


class BatchResults(Told):
    results: list[BatchResult]


class Overturned(Told):
    outcome: str
    at: Moment


class LegalHold(Told):
    """Why nothing of it may be erased, and since when."""

    cause: str
    at: Moment


class Erased(Told):
    """That the data is gone: when, by whom, under what, and the event that tells of it."""

    at: Moment
    by: str
    by_name: str | None = None
    under: Literal["request", "retention"]
    event: str


class Judgement(Told):
    person_id: str
    person_name: str | None = None
    outcome: str
    reason_code: str | None
    rationale: str | None
    created_at: Moment


class Verdict(Told):
    id: str
    review_id: str
    person_id: str
    person_name: str | None = None
    key_id: str | None
    action: str
    outcome: str | None
    reason_code: str | None
    rationale: str | None
    claimed_at: Moment | None
    proposal_shown_at: Moment | None
    created_at: Moment


class LeaseView(Told):
    """`token` is there for the holder alone."""

    token: int | None = None
    holder_id: str | None = None
    expires_at: Moment


class Review(Told):
    """A work item that asks people for a verdict."""

    id: str = Field(examples=[REVIEW])
    decision_id: str = Field(examples=[DECISION])
    decision_type: str
    kind: Literal["gate", "sample"]
    queue: str
    tier: TierName
    stakes: str
    priority: int
    level: int = Field(description="0: reviewers; 1: leads, after an escalation.")
    state: Literal["open", "settled", "expired", "cancelled"]
    blind: bool
    required: int
    note: str | None
    created_at: Moment
    due_at: Moment
    expires_at: Moment | None
    available_at: Moment
    lease: LeaseView | None
    settled_at: Moment | None
    verdicts: list[Verdict] | None = None
    judgements: list[Judgement] | None = None


class DecisionBrief(Told):
    """A decision without its payload. What gives a hidden proposal away is null while the reader may judge it."""

    id: str = Field(examples=[DECISION])
    decision_type: str
    service: str
    external_id: str | None
    subject: str | None
    model: Model
    proposal: Proposal | None
    proposal_hidden: bool
    stakes: str
    tier: TierName
    status: StatusName
    outcome: str | None
    decided_by: Literal["policy", "reviewer", "timeout"] | None
    reasons: list[Reason]
    policy: PolicyRef | None
    sampled: bool
    inclusion_probability: float
    overturned: Overturned | None
    created_at: Moment
    final_at: Moment | None
    legal_hold: LegalHold | None
    erased: Erased | None


class Decision(DecisionBrief):
    """A decision with its payload and, where it is asked for by id, its reviews."""

    input: Json | None = Field(description="Null once it was erased.")
    metadata: Json | None
    reviews: list[Review] | None = None


class Routed(Told):
    """Where a policy sends a decision, and why."""

    tier: TierName
    stakes: str
    sampled: bool
    reasons: list[Reason]


class Replay(Told):
    """A decision routed again. `differs` names what is not as it was stored: [] when `same`."""

    decision_id: str = Field(examples=[DECISION])
    policy: PolicyRef | None
    same: bool
    differs: list[Literal["tier", "stakes", "sampled", "reasons"]]
    stored: Routed
    again: Routed


class Claimed(Review):
    """A review as its holder sees it."""

    decision: Decision


class ReviewView(Claimed):
    """A review as the asker sees it; `may_take` says whether their roles and duties allow it."""

    mine: bool
    held: bool
    holder_name: str | None
    may_take: bool
    my_judgement: Judgement | None
    server_time: Moment


class Ruled(Told):
    """The verdict stands; the review may still be open (more reviewers, or the leads)."""

    verdict: Verdict
    review: Review
    decision: Decision
    receipt: Receipt


class Judged(Told):
    """Your judgement is kept; here is what the AI proposed. Say approve or override with the same token."""

    judgement: Judgement
    proposal: Proposal
    decision: Decision
    receipt: Receipt


class Event(Told):
    """One thing that happened: ids, commitments and reasons, never a payload."""

    model_config = ConfigDict(extra="allow")
    v: int
    id: str
    time: Moment
    type: str = Field(examples=["review.verdict_given"])
    actor: Json
    object: Json
    decision: str | None
    decision_type: str | None
    policy: PolicyRef | None
    request_id: str | None
    before: Any
    after: Any
    data: Json


class Paged(Told):
    next_cursor: str | None
    has_more: bool


class DecisionPage(Paged):
    data: Sequence[DecisionBrief]


class EventPage(Paged):
    data: Sequence[Event]


class Events(Told):
    data: Sequence[Event]
