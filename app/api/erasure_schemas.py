"""Owns the wire shapes of erasures and legal holds. Must not decide anything."""

from typing import Annotated, Literal

from pydantic import Field

from app.api.schemas import DECISION, Asked, LegalHold, Moment, Told
from app.domain.erasure import Cause, HoldCause

Subject = Annotated[str, Field(min_length=1, max_length=200)]


class NewErasure(Asked):
    """Whose data is to go: the subject just as services send it. The cause is a ground of GDPR article 17(1)."""

    subject: Subject = Field(examples=["customer-5512"])
    cause: Literal[tuple(Cause)] = Field(examples=["consent_withdrawn"])  # type: ignore[valid-type]


class Erasure(Told):
    """A request. `erased` counts decisions; `subject` is there in lists only, and null once the request is over."""

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
    subject: str | None = None


class Erasures(Told):
    data: list[Erasure]


class NewHold(Asked):
    cause: Literal[tuple(HoldCause)] = Field(examples=["litigation"])  # type: ignore[valid-type]


class Held(Told):
    decision_id: str = Field(examples=[DECISION])
    legal_hold: LegalHold | None
