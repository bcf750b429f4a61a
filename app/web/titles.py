"""Owns each event as a sentence for people, and what it changed. Must not read payloads: events carry none."""

from collections.abc import Mapping
from typing import Any, Final

from app.domain.access import Actor, P
from app.domain.events import EventType
from app.domain.reads import EVERY

T = EventType
TITLES: Final[Mapping[str, str]] = {
    T.DECISION_SUBMITTED: "The AI service submitted the decision",
    T.DECISION_FINALISED: "The decision became final",
    T.DECISION_CANCELLED: "The service withdrew the decision",
    T.DECISION_OVERTURNED: "A quality check found the AI's outcome wrong",
    T.REVIEW_CLAIMED: "Claimed the review",
    T.REVIEW_RENEWED: "Kept the review for longer",
    T.REVIEW_RELEASED: "Gave the review back",
    T.REVIEW_SNOOZED: "Put the review off",
    T.REVIEW_UNDONE: "Took the review back",
    T.REVIEW_LEASE_EXPIRED: "The lease ended without a verdict",
    T.REVIEW_JUDGED: "Gave a judgement before seeing the AI's proposal",
    T.REVIEW_VERDICT_GIVEN: "Gave a verdict",
    T.REVIEW_ESCALATED: "The review went to the leads",
    T.REVIEW_ABSTAINED: "Left the review to somebody else",
    T.REVIEW_SETTLED: "The review was settled",
    T.REVIEW_OVERDUE: "The review is past its due time",
    T.REVIEW_EXPIRED: "The review ended without a person",
    T.REVIEW_CANCELLED: "The review is no longer needed",
    T.PERSON_CREATED: "Added a person",
    T.PERSON_GRANTED: "Gave a role",
    T.PERSON_GRANT_REVOKED: "Took a role away",
    T.PERSON_DISABLED: "Disabled a person",
    T.PERSON_ENABLED: "Enabled a person",
    T.PERSON_PASSWORD_CHANGED: "Changed a password",
    T.PERSON_PREFERENCES_CHANGED: "Changed their preferences",
    T.PERSON_SIGNED_IN: "Signed in",
    T.PERSON_SIGN_IN_FAILED: "A sign-in failed",
    T.PERSON_SIGNED_OUT: "Signed out",
    T.KEY_CREATED: "Made an API key",
    T.KEY_REVOKED: "Revoked an API key",
    T.QUEUE_CHANGED: "Changed a queue",
    T.TYPE_CREATED: "Made a decision type",
    T.TYPE_CHANGED: "Changed a decision type",
    T.TYPE_ARCHIVED: "Archived a decision type",
    T.TYPE_RESTORED: "Restored a decision type",
    T.POLICY_DRAFTED: "Drafted a policy version",
    T.POLICY_PROPOSED: "Proposed a policy version",
    T.POLICY_ACTIVATED: "Activated a policy version",
    T.POLICY_RETIRED: "A policy version was retired",
    T.EXPORT_STARTED: "Exported records",
    T.DUTY_RETRIED: "Tried again what background work had set aside",
    T.DECISION_VIEWED: "Opened the decision",
    T.DECISION_SEARCHED: "Listed decisions",
    T.REVIEW_VIEWED: "Opened the review",
    T.EVENT_VIEWED: "Opened an event",
    T.EVENT_SEARCHED: "Searched the audit trail",
    T.PERSON_VIEWED: "Opened a person's page",
    T.PERSON_SEARCHED: "Listed people",
    T.DECISION_HELD: "Put the decision under legal hold",
    T.DECISION_HOLD_RELEASED: "Released the decision from legal hold",
    T.DECISION_ERASED: "The data of the decision was erased",
    T.ERASURE_REQUESTED: "Asked for the erasure of a subject",
    T.ERASURE_APPROVED: "Approved the erasure of a subject",
    T.ERASURE_DECLINED: "Declined the erasure of a subject",
    T.RETENTION_RAN: "Erased what was past its retention",
    T.PERSON_ERASED: "Erased the name and address of a person who left",
}  # fmt: skip
ACTIONS: Final[Mapping[str, str]] = {
    "approve": "Approved what the AI proposed",
    "override": "Overrode the AI",
    "decide": "Decided",
    "escalate": "Escalated the review",
    "abstain": "Left the review to somebody else",
}
ESCALATIONS: Final[Mapping[str, str]] = {
    "split": "The reviewers did not agree, so the review went to the leads",
    "timeout": "Nobody settled the review in time, so it went to the leads",
}
WHERE: Final[Mapping[str, str]] = {
    "decision": "/decisions/", "review": "/reviews/", "person": "/people/", "decision_type": "/types/",
    "event": "/audit/events/",
}  # fmt: skip
SHOWN: Final = ("status", "tier", "stakes", "outcome", "state", "role", "decision_type", "overturned_outcome")


def title_of(event: Mapping[str, Any]) -> str:
    """The event as a plain sentence."""
    kind, data = event["type"], event["data"]
    if kind == T.REVIEW_VERDICT_GIVEN and data.get("action") in ACTIONS:
        return ACTIONS[data["action"]]
    if kind == T.REVIEW_ESCALATED and data.get("why") in ESCALATIONS:
        return ESCALATIONS[data["why"]]
    return TITLES.get(kind, kind)


def changes_of(event: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What changed, for reading: {what, before, after}; ids, tokens and times stay in the body."""
    before, after = event["before"] or {}, event["after"] or {}
    names = [name for name in SHOWN if after.get(name) is not None and after.get(name) != before.get(name)]
    return [
        {"what": name.replace("_", " ").capitalize(), "before": before.get(name), "after": after[name]}
        for name in names
    ]


def link_to(event: Mapping[str, Any], me: Actor) -> str | None:
    """The page of what the event is about, when there is one that the person may see."""
    about: Mapping[str, str] = event["object"]
    if about["id"] == EVERY:
        return None
    if about["type"] == "policy":
        return "/policies/" + about["id"].replace("@", "/")
    if about["type"] == "person" and (about["id"] == "unknown" or not me.may(P.MANAGE_PEOPLE)):
        return None
    return WHERE[about["type"]] + about["id"] if about["type"] in WHERE else None
