"""Owns the closed vocabulary of events and the bytes of their bodies. No payloads: ids, commitments, reason codes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from app.domain.access import Actor
from app.domain.canonical import canonical_text

BODY_VERSION = 2
NONCE = 16  # bytes
NUMBERED = ("decision", "review")  # whose events are counted, each from 1
LOOKS = (".viewed", ".searched")  # events of this ending change nothing: somebody looked


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
    DECISION_VIEWED = "decision.viewed"
    DECISION_SEARCHED = "decision.searched"
    REVIEW_VIEWED = "review.viewed"
    EVENT_VIEWED = "event.viewed"
    EVENT_SEARCHED = "event.searched"
    PERSON_VIEWED = "person.viewed"
    PERSON_SEARCHED = "person.searched"
    DECISION_HELD = "decision.held"
    DECISION_HOLD_RELEASED = "decision.hold_released"
    DECISION_ERASED = "decision.erased"
    ERASURE_REQUESTED = "erasure.requested"
    ERASURE_APPROVED = "erasure.approved"
    ERASURE_DECLINED = "erasure.declined"
    RETENTION_RAN = "retention.ran"
    PERSON_ERASED = "person.erased"


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
    commitments: Mapping[str, str] = field(default_factory=dict)  # see domain/commitments
    policy_version: int | None = None
    policy_digest: str | None = None

    @property
    def object_type(self) -> str:
        return self.type.value.partition(".")[0]

    @property
    def is_numbered(self) -> bool:
        """Whether it has a number among the events of its object: then a verifier sees when one is missing."""
        return self.object_type in NUMBERED and not self.type.endswith(LOOKS)

    def body(
        self, event_id: str, at: datetime, actor: Actor, *,
        nonce: bytes, version: int | None = None, request_id: str | None = None,
    ) -> bytes:  # fmt: skip
        """The canonical JSON bytes (RFC 8785) that are stored and never made again; keys are in their order here.

        `nonce` is 16 random bytes, so that nobody can guess a body from its hash; `version` its number among the
        events of its object, if it has one; `request_id` stands in for the actor's.
        """
        write, said = canonical_text, _said_by(actor.kind, actor.id, actor.person_id, actor.key_id)
        return (
            f'{{"actor":{said},"after":{write(self.after)},"before":{write(self.before)},'
            f'"commitments":{write(self.commitments)},"data":{write(self.data)},'
            f'"decision":{write(self.decision_id)},"decision_type":{write(self.decision_type)},"id":{write(event_id)},'
            f'"nonce":"{nonce.hex()}",'
            f'"object":{{"id":{write(self.object_id)},"type":{write(self.object_type)},"version":{write(version)}}},'
            f'"policy":{_under(self.policy_version, self.policy_digest)},'
            f'"request_id":{write(request_id or actor.request_id)},"time":{write(timestamp(at))},'
            f'"type":{write(self.type.value)},"v":{BODY_VERSION}}}'
        ).encode()


@lru_cache(maxsize=256)
def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds: `2026-11-24T09:08:00.000000Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@lru_cache(maxsize=256)
def _said_by(kind: str, id: str, person: str | None, key: str | None) -> str:
    return canonical_text({"kind": kind, "id": id, "person": person, "key": key})


@lru_cache(maxsize=256)
def _under(version: int | None, digest: str | None) -> str:
    return "null" if version is None else canonical_text({"version": version, "digest": digest})
