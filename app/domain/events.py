"""Owns the closed vocabulary of events and the bytes of their bodies. No payloads: ids, digests and reason codes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.domain.access import Actor
from app.domain.canonical import canonical

BODY_VERSION = 1


class EventType(StrEnum):
    """Everything that can happen. The part before the dot is the kind of object it happened to."""

    DECISION_SUBMITTED = "decision.submitted"
    DECISION_FINALISED = "decision.finalised"
    DECISION_CANCELLED = "decision.cancelled"
    DECISION_OVERTURNED = "decision.overturned"
    REVIEW_CLAIMED = "review.claimed"
    REVIEW_RENEWED = "review.renewed"
    REVIEW_RELEASED = "review.released"
    REVIEW_SNOOZED = "review.snoozed"
    REVIEW_UNDONE = "review.undone"
    REVIEW_LEASE_EXPIRED = "review.lease_expired"
    REVIEW_JUDGED = "review.judged"
    REVIEW_VERDICT_GIVEN = "review.verdict_given"
    REVIEW_ESCALATED = "review.escalated"
    REVIEW_ABSTAINED = "review.abstained"
    REVIEW_SETTLED = "review.settled"
    REVIEW_OVERDUE = "review.overdue"
    REVIEW_EXPIRED = "review.expired"
    REVIEW_CANCELLED = "review.cancelled"
    PERSON_CREATED = "person.created"
    PERSON_GRANTED = "person.granted"
    PERSON_GRANT_REVOKED = "person.grant_revoked"
    PERSON_DISABLED = "person.disabled"
    PERSON_ENABLED = "person.enabled"
    PERSON_PASSWORD_CHANGED = "person.password_changed"  # noqa: S105
    PERSON_PREFERENCES_CHANGED = "person.preferences_changed"
    PERSON_SIGNED_IN = "person.signed_in"
    PERSON_SIGN_IN_FAILED = "person.sign_in_failed"
    PERSON_SIGNED_OUT = "person.signed_out"
    KEY_CREATED = "key.created"
    KEY_REVOKED = "key.revoked"
    QUEUE_CHANGED = "queue.changed"
    TYPE_CREATED = "decision_type.created"
    TYPE_CHANGED = "decision_type.changed"
    TYPE_ARCHIVED = "decision_type.archived"
    TYPE_RESTORED = "decision_type.restored"
    POLICY_DRAFTED = "policy.drafted"
    POLICY_PROPOSED = "policy.proposed"
    POLICY_ACTIVATED = "policy.activated"
    POLICY_RETIRED = "policy.retired"
    EXPORT_STARTED = "export.started"
    DUTY_RETRIED = "duty.retried"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `before`, `after` and `data` hold JSON without floats, and never a payload."""

    type: EventType
    object_id: str
    decision_id: str | None = None
    decision_type: str | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    policy_version: int | None = None
    policy_digest: str | None = None

    @property
    def object_type(self) -> str:
        return self.type.value.partition(".")[0]

    def body(self, event_id: str, at: datetime, actor: Actor) -> bytes:
        """The canonical JSON bytes (RFC 8785) that are stored and never made again."""
        return canonical(
            {
                "v": BODY_VERSION,
                "id": event_id,
                "time": timestamp(at),
                "type": self.type.value,
                "actor": _said_by(actor),
                "object": {"type": self.object_type, "id": self.object_id},
                "decision": self.decision_id,
                "decision_type": self.decision_type,
                "policy": {"version": self.policy_version, "digest": self.policy_digest}
                if self.policy_version is not None
                else None,
                "request_id": actor.request_id,
                "before": self.before,
                "after": self.after,
                "data": self.data,
            }
        )


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds: `2026-11-24T09:08:00.000000Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _said_by(actor: Actor) -> dict[str, str | None]:
    return {"kind": actor.kind, "id": actor.id, "person": actor.person_id, "key": actor.key_id}
