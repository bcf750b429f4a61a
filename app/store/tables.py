"""Owns every table, index and check: the schema at a glance. Must not validate (`table=True` does not) nor query."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.store._audit_tables import checkpoint as checkpoint
from app.store._audit_tables import cosignature as cosignature
from app.store._audit_tables import erasure as erasure
from app.store._audit_tables import push as push
from app.store._audit_tables import retention_run as retention_run
from app.store._audit_tables import sealed as sealed
from app.store._audit_tables import shown as shown
from app.store._audit_tables import tile as tile
from app.store._audit_tables import tree_head as tree_head
from app.store._audit_tables import unsealed as unsealed
from app.store._columns import TEXT, one_of, table_of, where
from app.store.db import UtcDateTime


class Queue(SQLModel, table=True):
    """A named list of reviews with its own lease length."""

    __tablename__ = "queue"
    __table_args__ = (sa.CheckConstraint("lease_seconds BETWEEN 10 AND 86400", name="lease_seconds"),)
    slug: str = Field(primary_key=True, sa_type=TEXT)
    title: str = Field(sa_type=TEXT)
    lease_seconds: int = 900


class DecisionType(SQLModel, table=True):
    """One kind of AI decision: its document (JSON), and the key that its samples are drawn with."""

    __tablename__ = "decision_type"
    slug: str = Field(primary_key=True, sa_type=TEXT)
    title: str = Field(sa_type=TEXT)
    queue: str = Field(foreign_key="queue.slug", sa_type=TEXT)
    document: str = Field(sa_type=TEXT)
    digest: str = Field(sa_type=TEXT)
    revision: int
    sampling_key: str = Field(sa_type=TEXT)
    created_at: datetime = Field(sa_type=UtcDateTime)
    changed_at: datetime = Field(sa_type=UtcDateTime)
    archived_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class TypeRevision(SQLModel, table=True):
    """Every document that a decision type ever had, so that a decision can be routed again as it was. Append-only."""

    __tablename__ = "type_revision"
    decision_type: str = Field(primary_key=True, foreign_key="decision_type.slug", sa_type=TEXT)
    digest: str = Field(primary_key=True, sa_type=TEXT)
    document: str = Field(sa_type=TEXT)
    created_at: datetime = Field(sa_type=UtcDateTime)


class Policy(SQLModel, table=True):
    """One version of the policy of a decision type. `source` is what its author typed."""

    __tablename__ = "policy"
    __table_args__ = (
        one_of("state", "draft", "proposed", "active", "retired"),
        sa.Index("uq_policy_active", "decision_type", unique=True, **where("state = 'active'")),
    )
    decision_type: str = Field(primary_key=True, foreign_key="decision_type.slug", sa_type=TEXT)
    version: int = Field(primary_key=True)
    state: str = Field(sa_type=TEXT)
    document: str = Field(sa_type=TEXT)
    source: str = Field(sa_type=TEXT)
    digest: str = Field(sa_type=TEXT)
    note: str | None = Field(default=None, sa_type=TEXT)
    created_by: str = Field(sa_type=TEXT)
    created_at: datetime = Field(sa_type=UtcDateTime)
    activated_by: str | None = Field(default=None, sa_type=TEXT)
    activated_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    retired_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Person(SQLModel, table=True):
    """Somebody who can sign in. Events carry the id, never the name."""

    __tablename__ = "person"
    id: str = Field(primary_key=True, sa_type=TEXT)
    email: str = Field(unique=True, sa_type=TEXT)
    name: str = Field(sa_type=TEXT)
    password_hash: str | None = Field(default=None, sa_type=TEXT)
    zone: str = Field(default="UTC", sa_type=TEXT)
    shortcuts: bool = True
    created_at: datetime = Field(sa_type=UtcDateTime)
    disabled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    erased_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class RoleGrant(SQLModel, table=True):
    """A role that a person holds for one decision type, or `*`."""

    __tablename__ = "role_grant"
    __table_args__ = (one_of("role", "admin", "policy_owner", "reviewer", "lead", "auditor"),)
    person_id: str = Field(primary_key=True, foreign_key="person.id", sa_type=TEXT)
    role: str = Field(primary_key=True, sa_type=TEXT)
    decision_type: str = Field(primary_key=True, sa_type=TEXT)
    granted_at: datetime = Field(sa_type=UtcDateTime)
    granted_by: str = Field(sa_type=TEXT)


class Session(SQLModel, table=True):
    """A signed-in browser. Only the SHA-256 of its random id is kept."""

    __tablename__ = "session"
    id_hash: str = Field(primary_key=True, sa_type=TEXT)
    person_id: str = Field(foreign_key="person.id", index=True, sa_type=TEXT)
    created_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)


class Throttle(SQLModel, table=True):
    """Failed sign-ins of one bucket (an address or an account, hashed)."""

    __tablename__ = "throttle"
    bucket: str = Field(primary_key=True, sa_type=TEXT)
    failures: int
    since: datetime = Field(sa_type=UtcDateTime)
    blocked_until: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ApiKey(SQLModel, table=True):
    """A service's key, or one that acts as a person (`person_id`). Only the secret's SHA-256 is kept."""

    __tablename__ = "api_key"
    id: str = Field(primary_key=True, sa_type=TEXT)
    public: str = Field(unique=True, sa_type=TEXT)
    secret_hash: str = Field(sa_type=TEXT)
    name: str = Field(sa_type=TEXT)
    scopes: str = Field(sa_type=TEXT)
    person_id: str | None = Field(default=None, foreign_key="person.id", sa_type=TEXT)
    owner_id: str | None = Field(default=None, foreign_key="person.id", sa_type=TEXT)
    created_by: str = Field(sa_type=TEXT)
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Idempotency(SQLModel, table=True):
    """The first answer to an Idempotency-Key, kept in the transaction of its effect."""

    __tablename__ = "idempotency"
    key_id: str = Field(primary_key=True, sa_type=TEXT)
    route: str = Field(primary_key=True, sa_type=TEXT)
    key: str = Field(primary_key=True, sa_type=TEXT)
    fingerprint: str = Field(index=True, sa_type=TEXT)
    answer: str | None = Field(default=None, sa_type=TEXT)
    created_at: datetime = Field(index=True, sa_type=UtcDateTime)


class Decision(SQLModel, table=True):
    """One thing an AI service proposed, how it was routed and how it ended. JSON columns hold text as it came."""

    __tablename__ = "decision"
    __table_args__ = (
        sa.UniqueConstraint("service", "external_id"),
        one_of("tier", "autonomous", "review_required", "human_decides"),
        one_of("status", "pending", "final", "cancelled"),
        one_of("decided_by", "policy", "reviewer", "timeout"),
        sa.CheckConstraint("(status = 'final') = (outcome IS NOT NULL)", name="final_has_outcome"),
        sa.CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence_range"),
        sa.Index("ix_decision_created_at_id", "created_at", "id"),
        sa.Index("ix_decision_decision_type_created_at", "decision_type", "created_at", "id"),
        sa.Index("ix_decision_model_name_created_at", "model_name", "created_at", "id"),
        sa.Index("ix_decision_subject_created_at", "subject", "created_at", "id", **where("subject IS NOT NULL")),
        sa.Index("ix_decision_unfinished", "status", "created_at", "id", **where("status <> 'final'")),
        sa.Index("ix_decision_tier_created_at", "tier", "created_at", "id"),
        sa.Index("ix_decision_overturned", "created_at", "id", **where("overturned_at IS NOT NULL")),
    )
    id: str = Field(primary_key=True, sa_type=TEXT)
    decision_type: str = Field(foreign_key="decision_type.slug", sa_type=TEXT)
    service: str = Field(sa_type=TEXT)
    key_id: str = Field(sa_type=TEXT)
    owner_id: str | None = Field(default=None, sa_type=TEXT)
    external_id: str | None = Field(default=None, sa_type=TEXT)
    fingerprint: str = Field(sa_type=TEXT)
    subject: str | None = Field(default=None, sa_type=TEXT)
    model_name: str = Field(sa_type=TEXT)
    model_version: str | None = Field(default=None, sa_type=TEXT)
    proposal_outcome: str = Field(sa_type=TEXT)
    confidence: float | None = None
    proposal: str = Field(sa_type=TEXT)
    input: str = Field(sa_type=TEXT)
    metadata_: str = Field(sa_column=sa.Column("metadata", TEXT, nullable=False))
    declared_stakes: str | None = Field(default=None, sa_type=TEXT)
    stakes: str = Field(sa_type=TEXT)
    tier: str = Field(sa_type=TEXT)
    reasons: str = Field(sa_type=TEXT)
    policy_version: int | None = None
    policy_digest: str | None = Field(default=None, sa_type=TEXT)
    type_digest: str = Field(sa_type=TEXT)
    sampled: bool
    inclusion_probability: float
    status: str = Field(sa_type=TEXT)
    outcome: str | None = Field(default=None, sa_type=TEXT)
    decided_by: str | None = Field(default=None, sa_type=TEXT)
    overturned_outcome: str | None = Field(default=None, sa_type=TEXT)
    created_at: datetime = Field(sa_type=UtcDateTime)
    final_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    overturned_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    salts: bytes | None = Field(default=None, sa_type=sa.LargeBinary)  # see domain/commitments
    held_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    hold_cause: str | None = Field(default=None, sa_type=TEXT)
    erased_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    erased_by: str | None = Field(default=None, sa_type=TEXT)
    erased_under: str | None = Field(default=None, sa_type=TEXT)
    erased_event: str | None = Field(default=None, sa_type=TEXT)


class Review(SQLModel, table=True):
    """A work item that asks people for a verdict. Free when open, available, and its lease absent or over."""

    __tablename__ = "review"
    __table_args__ = (
        one_of("kind", "gate", "sample"),
        one_of("tier", "autonomous", "review_required", "human_decides"),
        one_of("state", "open", "settled", "expired", "cancelled"),
        sa.CheckConstraint("level BETWEEN 0 AND 1", name="level_known"),
        sa.CheckConstraint("(lease_holder IS NULL) = (lease_expires_at IS NULL)", name="lease_whole"),
        sa.Index(
            "ix_review_lane", "queue", "decision_type", "level", "priority", "due_at", "id", **where("state = 'open'")
        ),
        sa.Index("ix_review_leased", "lease_expires_at", **where("state = 'open' AND lease_expires_at IS NOT NULL")),
        sa.Index("ix_review_put_off", "available_at", **where("state = 'open' AND available_at > created_at")),
        sa.Index(
            "ix_review_due_at",
            "due_at",
            **where("state = 'open' AND NOT overdue_announced", "state = 'open' AND overdue_announced = 0"),
        ),
        sa.Index("ix_review_expires_at", "expires_at", **where("state = 'open' AND expires_at IS NOT NULL")),
    )
    id: str = Field(primary_key=True, sa_type=TEXT)
    decision_id: str = Field(foreign_key="decision.id", index=True, sa_type=TEXT)
    decision_type: str = Field(sa_type=TEXT)
    queue: str = Field(foreign_key="queue.slug", sa_type=TEXT)
    kind: str = Field(sa_type=TEXT)
    tier: str = Field(sa_type=TEXT)
    stakes: str = Field(sa_type=TEXT)
    priority: int
    level: int = 0
    state: str = Field(sa_type=TEXT)
    blind: bool
    required: int
    owner_id: str | None = Field(default=None, sa_type=TEXT)
    created_at: datetime = Field(sa_type=UtcDateTime)
    due_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    on_expiry: str | None = Field(default=None, sa_type=TEXT)
    available_at: datetime = Field(sa_type=UtcDateTime)
    lease_token: int = Field(default=0, sa_type=sa.BigInteger)
    lease_holder: str | None = Field(default=None, sa_type=TEXT)
    lease_expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    lease_announced: bool = False
    overdue_announced: bool = False
    note: str | None = Field(default=None, sa_type=TEXT)
    outcome: str | None = Field(default=None, sa_type=TEXT)
    settled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class OpenTally(SQLModel, table=True):
    """How many reviews are open, and how many of them were announced as overdue. Kept by triggers: see ADR 0008."""

    __tablename__ = "open_tally"
    queue: str = Field(primary_key=True, sa_type=TEXT)
    decision_type: str = Field(primary_key=True, sa_type=TEXT)
    level: int = Field(primary_key=True)
    priority: int = Field(primary_key=True)
    owner_id: str = Field(primary_key=True, sa_type=TEXT)  # "" for none
    shard: int = Field(primary_key=True)
    n: int = Field(sa_type=sa.BigInteger)
    late: int = Field(sa_type=sa.BigInteger)


class HourTally(SQLModel, table=True):
    """How many decisions of a type took each tier, or were overridden or overturned, in an hour. Kept by triggers."""

    __tablename__ = "hour_tally"
    hour: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    decision_type: str = Field(primary_key=True, sa_type=TEXT)
    what: str = Field(primary_key=True, sa_type=TEXT)
    shard: int = Field(primary_key=True)
    n: int = Field(sa_type=sa.BigInteger)


class Judgement(SQLModel, table=True):
    """What a reviewer said before they saw the proposal, and when it was then shown to them. Append-only."""

    __tablename__ = "judgement"
    review_id: str = Field(primary_key=True, foreign_key="review.id", sa_type=TEXT)
    person_id: str = Field(primary_key=True, foreign_key="person.id", sa_type=TEXT)
    outcome: str = Field(sa_type=TEXT)
    reason_code: str | None = Field(default=None, sa_type=TEXT)
    rationale: str | None = Field(default=None, sa_type=TEXT)
    created_at: datetime = Field(sa_type=UtcDateTime)
    salt: bytes | None = Field(default=None, sa_type=sa.LargeBinary)


class Verdict(SQLModel, table=True):
    """What one reviewer said; one per person and review. `proposal_shown_at` is null if it never was. Append-only."""

    __tablename__ = "verdict"
    __table_args__ = (
        sa.UniqueConstraint("review_id", "person_id"),
        one_of("action", "approve", "override", "decide", "escalate", "abstain"),
        sa.CheckConstraint("(action IN ('escalate', 'abstain')) = (outcome IS NULL)", name="ruling_has_outcome"),
    )
    id: str = Field(primary_key=True, sa_type=TEXT)
    review_id: str = Field(foreign_key="review.id", sa_type=TEXT)
    decision_id: str = Field(foreign_key="decision.id", index=True, sa_type=TEXT)
    person_id: str = Field(foreign_key="person.id", sa_type=TEXT)
    key_id: str | None = Field(default=None, sa_type=TEXT)
    action: str = Field(sa_type=TEXT)
    outcome: str | None = Field(default=None, sa_type=TEXT)
    reason_code: str | None = Field(default=None, sa_type=TEXT)
    rationale: str | None = Field(default=None, sa_type=TEXT)
    lease_token: int = Field(sa_type=sa.BigInteger)
    claimed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    proposal_shown_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    salt: bytes | None = Field(default=None, sa_type=sa.LargeBinary)


class Event(SQLModel, table=True):
    """One row per thing that happened. `body` is canonical JSON, made once. Append-only, by triggers.

    `version` numbers the events of a decision, or of a review, from 1 without a gap.
    """

    __tablename__ = "event"
    __table_args__ = (
        sa.Index("ix_event_created_at_id", "created_at", "id"),
        sa.Index("uq_event_object_id_version", "object_id", "version", unique=True),
    )
    id: str = Field(primary_key=True, sa_type=TEXT)
    created_at: datetime = Field(sa_type=UtcDateTime)
    type: str = Field(sa_type=TEXT)
    actor_id: str = Field(sa_type=TEXT)
    object_id: str = Field(sa_type=TEXT)
    decision_id: str | None = Field(default=None, index=True, sa_type=TEXT)
    decision_type: str | None = Field(default=None, sa_type=TEXT)
    version: int | None = None
    body: bytes = Field(sa_type=sa.LargeBinary)


class Heartbeat(SQLModel, table=True):
    """When a worker was last alive."""

    __tablename__ = "heartbeat"
    worker: str = Field(primary_key=True, sa_type=TEXT)
    seen_at: datetime = Field(sa_type=UtcDateTime)


class Generation(SQLModel, table=True):
    """One row; triggers add one to `n` with every change of keys, people, roles, types and policies."""

    __tablename__ = "generation"
    __table_args__ = (sa.CheckConstraint("id = 1", name="one_row"),)
    id: int = Field(primary_key=True)
    n: int = Field(sa_type=sa.BigInteger)


class DutyRun(SQLModel, table=True):
    """When a duty of the worker last ran, how many rows it dealt with, and why it failed if it did."""

    __tablename__ = "duty_run"
    duty: str = Field(primary_key=True, sa_type=TEXT)
    worker: str = Field(sa_type=TEXT)
    ran_at: datetime = Field(sa_type=UtcDateTime)
    did: int
    error: str | None = Field(default=None, sa_type=TEXT)


class SetAside(SQLModel, table=True):
    """A row that a duty could not process and does not meet again until somebody tries it."""

    __tablename__ = "set_aside"
    duty: str = Field(primary_key=True, sa_type=TEXT)
    object_id: str = Field(primary_key=True, sa_type=TEXT)
    error: str = Field(sa_type=TEXT)
    tries: int
    first_at: datetime = Field(sa_type=UtcDateTime)
    last_at: datetime = Field(sa_type=UtcDateTime)


queue, decision_type, type_revision, policy, person = map(table_of, (Queue, DecisionType, TypeRevision, Policy, Person))
role_grant, session, throttle, api_key, idempotency = map(table_of, (RoleGrant, Session, Throttle, ApiKey, Idempotency))
decision, review, open_tally, hour_tally, judgement = map(table_of, (Decision, Review, OpenTally, HourTally, Judgement))
verdict, event, heartbeat, generation, duty_run = map(table_of, (Verdict, Event, Heartbeat, Generation, DutyRun))
(set_aside,) = map(table_of, (SetAside,))

APPEND_ONLY = (event, judgement, verdict, type_revision, shown, sealed, tile, checkpoint, cosignature)
