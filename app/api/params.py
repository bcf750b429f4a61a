"""Owns what comes in by query: times, cursors, filters, pages. Every unknown or unfit parameter is refused."""

import base64
import binascii
import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from starlette.requests import Request

from app.actions.reading import Page
from app.api.audit_schemas import Size
from app.api.calls import Answer
from app.api.schemas import StatusName, TierName
from app.domain.errors import Fault, Invalid
from app.domain.events import EventType, timestamp
from app.store.decisions import Filters

_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d))?")
_ID: Final = re.compile(r"[a-z]{3}_[0-9a-f-]{36}")
_MOMENT_WORDS: Final = "must be a date (2026-11-24) or an RFC 3339 time with its zone (2026-11-24T09:08:00Z)."


def moment(value: Any) -> datetime:
    """Aware UTC of a date or an RFC 3339 time. Raises ValueError with the sentence that says so."""
    if isinstance(value, str) and _MOMENT.fullmatch(value.replace(" ", "+") if "T" in value.upper() else value):
        try:
            found = datetime.fromisoformat(value.replace(" ", "+") if "T" in value.upper() else value)
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise ValueError(_MOMENT_WORDS)


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("must not have U+0000.")
    return value


Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_without_nul)]
When = Annotated[datetime, BeforeValidator(moment), Field(json_schema_extra={"type": "string", "format": "date-time"})]


class DecisionFilter(BaseModel):
    """Which decisions; what is left out is everything."""

    model_config = ConfigDict(extra="forbid")
    type: Text | None = None
    tier: TierName | None = None
    status: StatusName | None = None
    model: Text | None = None
    subject: Text | None = None
    external_id: Text | None = None
    overturned: bool = False
    since: When | None = Field(default=None, alias="from")
    until: When | None = Field(default=None, alias="to")

    def filters(self) -> Filters:
        return Filters(
            type=self.type,
            tier=self.tier,
            status=self.status,
            model=self.model,
            subject=self.subject,
            external_id=self.external_id,
            overturned=self.overturned,
            since=self.since,
            until=self.until,
        )


class BundleQuery(BaseModel):
    """What a bundle is of; `since` is the size of an older checkpoint that it must be shown to go on from."""

    model_config = ConfigDict(extra="forbid")
    type: Text | None = None
    since: When | None = Field(default=None, alias="from")
    until: When | None = Field(default=None, alias="to")
    checkpoint: int | None = Field(default=None, ge=1, le=2**53 - 1, alias="since")

    def filters(self) -> Filters:
        return Filters(type=self.type, since=self.since, until=self.until)


class Paging(BaseModel):
    """Where to go on, and how many at once."""

    model_config = ConfigDict(extra="forbid")
    cursor: Annotated[str, Field(max_length=500)] | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class DecisionQuery(DecisionFilter, Paging):
    pass


class EventQuery(Paging):
    """Which events; `object` is the id of anything: a decision, review, person, key, type."""

    type: EventType | None = None
    actor: Text | None = None
    object: Text | None = None


class AtSize(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: Size | None = Field(default=None, description="That of an older checkpoint; the newest unless given.")


class Sizes(BaseModel):
    model_config = ConfigDict(extra="forbid")
    old: Size = Field(alias="from")
    new: Size | None = Field(default=None, alias="to", description="The newest checkpoint's unless given.")


class Wait(BaseModel):
    model_config = ConfigDict(extra="forbid")
    wait: Annotated[int, Field(ge=0, le=30)] | None = Field(default=None, description="Seconds to wait for the end.")


def to_cursor(key: tuple[Any, ...]) -> str:
    """The key of a row as opaque text (base64url of JSON)."""
    plain = [timestamp(part) if isinstance(part, datetime) else part for part in key]
    return base64.urlsafe_b64encode(json.dumps(plain).encode()).decode().rstrip("=")


def from_cursor(cursor: str | None) -> tuple[datetime, str] | None:
    """The (time, id) of a cursor of ours. Raises Invalid (`bad_cursor`)."""
    if cursor is None:
        return None
    try:
        at, row_id = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        if _ID.fullmatch(row_id):
            return moment(at), row_id
    except (ValueError, TypeError, binascii.Error, RecursionError):
        pass
    detail = "must be a next_cursor as an earlier answer gave it."
    raise Invalid("The cursor is none of ours.", "bad_cursor", (Fault("/query/cursor", detail),))


def paged(request: Request, page: Page) -> Answer:
    """A page with its cursor, and the Link of the next one (RFC 8288)."""
    cursor = to_cursor(page.next) if page.next else None
    headers = {}
    if cursor:
        url = request.url.include_query_params(cursor=cursor)
        headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
    return Answer({"data": page.data, "next_cursor": cursor, "has_more": cursor is not None}, headers=headers)
