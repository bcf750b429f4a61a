"""The servers that are measured: Handrail with a do-nothing endpoint beside it, and the textbook."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import Depends, FastAPI
from sqlmodel import JSON, Column, Field, Session, SQLModel, create_engine

from app.api.schemas import NewDecision as Body
from app.domain.access import PUBLIC, declare
from app.logs import configure
from app.main import create_app
from app.settings import Settings
from app.store.db import driver_url


def handrail() -> FastAPI:
    """The product, and on the same server `POST /nothing`: pydantic validates the same body, and that is all."""
    settings = Settings()
    configure(settings.log_format, settings.log_level)
    app = create_app(settings)

    @app.post("/nothing", status_code=201)
    @declare(PUBLIC)
    async def nothing(new: Body) -> dict[str, str]:
        return {"id": "dec_0", "status": "final"}

    return app


def sealing() -> FastAPI:
    """The product with its worker in the same process."""
    settings = Settings()
    configure(settings.log_format, settings.log_level)
    return create_app(settings, embed_worker=True)


class TextbookDecision(SQLModel, table=True):
    """What a first version has: one row for each decision, nothing else."""

    id: int | None = Field(default=None, primary_key=True)
    decision_type: str = Field(index=True)
    external_id: str | None = Field(default=None, unique=True)
    model: dict[str, Any] = Field(sa_column=Column(JSON))
    proposal: dict[str, Any] = Field(sa_column=Column(JSON))
    input: dict[str, Any] = Field(sa_column=Column(JSON))
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))


class NewDecision(SQLModel):
    """The body that the textbook takes."""

    decision_type: str
    external_id: str | None = None
    model: dict[str, Any]
    proposal: dict[str, Any]
    input: dict[str, Any]


def textbook() -> FastAPI:
    """FastAPI and SQLModel as their tutorials have it: a `def` endpoint, a session by dependency, one insert."""
    url = driver_url(os.environ["HANDRAIL_DATABASE_URL"])
    engine = create_engine(url)
    if url.get_backend_name() == "sqlite":
        sa.event.listen(engine, "connect", _like_handrail)
    SQLModel.metadata.create_all(engine, tables=[TextbookDecision.__table__])  # type: ignore[attr-defined]
    app = FastAPI()

    def session() -> Iterator[Session]:
        with Session(engine) as one:
            yield one

    @app.post("/decisions", status_code=201, response_model=TextbookDecision)
    def submit(new: NewDecision, session: Annotated[Session, Depends(session)]) -> TextbookDecision:
        row = TextbookDecision.model_validate(new)
        session.add(row)
        session.commit()
        session.refresh(row)
        return row

    return app


def _like_handrail(connection: Any, _: Any) -> None:
    # The same durability, so that what is compared is the code.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=15000"):
        connection.execute(f"PRAGMA {pragma}")
