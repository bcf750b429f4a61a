"""Owns the wire shapes of erasures and legal holds. Must not decide anything."""

from typing import Annotated, Literal

from pydantic import Field

from app.api.schemas import DECISION, Asked, LegalHold, Moment, Told

CauseName = Literal["no_longer_needed", "consent_withdrawn", "objection", "unlawful", "legal_duty", "other"]
HoldCauseName = Literal["litigation", "investigation", "regulator", "other"]
Subject = Annotated[str, Field(min_length=1, max_length=200)]


class NewErasure(Asked):
    """Whose data is to go: the subject just as services send it. The cause is a ground of GDPR article 17(1)."""

    subject: Subject = Field(examples=["customer-5512"])
    cause: CauseName = Field(examples=["consent_withdrawn"])


class Erasure(Told):
    """A request. `erased` counts decisions; `subject` is there in lists only, and null once the request is over.

    `held` counts those that came under legal hold after the approval: they are erased when it ends. `held_for` names
    the causes of these holds, or `decision_type` where the whole type is held.
    """

    id: str = Field(examples=["ers_0193d5a0-7c22-7b04-8f0e-51c3c9f9a0d2"])
    state: Literal["requested", "approved", "done", "declined"]
    cause: str
    requested_by: str
    requested_by_name: str
    requested_at: Moment
    decided_by: str | None
    decided_by_name: str | None
    decided_at: Moment | None
    erased: int
    held: int
    held_for: list[str] = Field(examples=[["litigation"]])
    subject: str | None = None


class Erasures(Told):
    data: list[Erasure]


class NewHold(Asked):
    cause: HoldCauseName = Field(examples=["litigation"])


class Held(Told):
    decision_id: str = Field(examples=[DECISION])
    legal_hold: LegalHold | None
