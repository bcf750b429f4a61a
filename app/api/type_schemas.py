"""Owns the wire shapes of decision types and policies as they are told. Must not decide anything."""

from collections.abc import Sequence
from typing import Literal

from app.api.schemas import FaultShape, Json, Moment, Told


class TypeView(Told):
    """A decision type; `document` is what PUT takes, with every default made explicit."""

    slug: str
    title: str
    owner: str | None
    queue: str
    document: Json
    digest: str
    revision: int
    archived: bool
    created_at: Moment
    changed_at: Moment
    active_version: int | None


class PolicyView(Told):
    """One version of a policy."""

    decision_type: str
    version: int
    state: Literal["draft", "proposed", "active", "retired"]
    digest: str
    source: str
    document: Json
    note: str | None
    created_by: str
    created_by_name: str | None
    created_at: Moment
    activated_by: str | None
    activated_by_name: str | None
    activated_at: Moment | None
    retired_at: Moment | None


class Drafted(PolicyView):
    """A version just kept; `warnings` say what is doubtful in it, with the place in the document."""

    warnings: list[FaultShape]


class Types(Told):
    data: Sequence[TypeView]


class Policies(Told):
    data: Sequence[PolicyView]
