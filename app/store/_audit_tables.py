"""Owns the tables of the audit tree, of what was shown, and of what is to be forgotten. A part of `tables`."""

from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from app.store._columns import TEXT, one_of, table_of
from app.store.db import UtcDateTime

TILE_BYTES = 8192  # 256 hashes


class Unsealed(SQLModel, table=True):
    """An event that has no place in the tree yet. Filled by a trigger on `event`; only the sealer deletes."""

    __tablename__ = "unsealed"
    __table_args__ = ({"sqlite_with_rowid": False},)
    event_id: str = Field(primary_key=True, sa_type=TEXT)


class Sealed(SQLModel, table=True):
    """The place of an event among the leaves, from 0 without a gap. Append-only."""

    __tablename__ = "sealed"
    __table_args__ = ({"sqlite_with_rowid": False},)
    idx: int = Field(sa_column=sa.Column(sa.BigInteger, primary_key=True, autoincrement=False))
    event_id: str = Field(unique=True, sa_type=TEXT)


class Tile(SQLModel, table=True):
    """A full tile: 256 hashes of 32 bytes (C2SP tlog-tiles). Append-only."""

    __tablename__ = "tile"
    __table_args__ = (sa.CheckConstraint(f"length(hashes) = {TILE_BYTES}", name="whole"),)
    level: int = Field(sa_column=sa.Column(sa.Integer, primary_key=True, autoincrement=False))
    n: int = Field(sa_column=sa.Column(sa.BigInteger, primary_key=True, autoincrement=False))
    hashes: bytes = Field(sa_type=sa.LargeBinary)


class TreeHead(SQLModel, table=True):
    """One row: the tree as it stands. `edge` holds the hashes of its partial tiles, level 0 first; see domain/tiles."""

    __tablename__ = "tree_head"
    __table_args__ = (sa.CheckConstraint("id = 1", name="one_row"),)
    id: int = Field(primary_key=True)
    size: int = Field(sa_type=sa.BigInteger)
    root: bytes = Field(sa_type=sa.LargeBinary)
    edge: bytes = Field(sa_type=sa.LargeBinary)
    sealed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Checkpoint(SQLModel, table=True):
    """A signed size and root: the whole note (C2SP tlog-checkpoint). Append-only."""

    __tablename__ = "checkpoint"
    size: int = Field(sa_column=sa.Column(sa.BigInteger, primary_key=True, autoincrement=False))
    root: bytes = Field(sa_type=sa.LargeBinary)
    note: str = Field(sa_type=TEXT)
    signed_at: datetime = Field(sa_type=UtcDateTime)


class Cosignature(SQLModel, table=True):
    """The signature line of a witness under a checkpoint (C2SP tlog-cosignature). Append-only."""

    __tablename__ = "cosignature"
    size: int = Field(sa_column=sa.Column(sa.BigInteger, sa.ForeignKey("checkpoint.size"), primary_key=True))
    line: str = Field(primary_key=True, sa_type=TEXT)
    name: str = Field(sa_type=TEXT)
    at: datetime = Field(sa_type=UtcDateTime)


class Push(SQLModel, table=True):
    """Where checkpoints are pushed to: the last one that arrived, and why the last try failed if it did."""

    __tablename__ = "push"
    target: str = Field(primary_key=True, sa_type=TEXT)
    size: int | None = Field(default=None, sa_type=sa.BigInteger)
    pushed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    tried_at: datetime = Field(sa_type=UtcDateTime)
    error: str | None = Field(default=None, sa_type=TEXT)


class Shown(SQLModel, table=True):
    """What a review's screen said to whoever held it, as JSON, and the salt of the commitment to it. Append-only."""

    __tablename__ = "shown"
    __table_args__ = (sa.Index("ix_shown_review_id_person_id", "review_id", "person_id", "id"),)
    id: str = Field(primary_key=True, sa_type=TEXT)
    review_id: str = Field(foreign_key="review.id", sa_type=TEXT)
    decision_id: str = Field(foreign_key="decision.id", index=True, sa_type=TEXT)
    person_id: str = Field(foreign_key="person.id", sa_type=TEXT)
    token: int = Field(sa_type=sa.BigInteger)
    content: str | None = Field(default=None, sa_type=TEXT)
    salt: bytes | None = Field(default=None, sa_type=sa.LargeBinary)
    created_at: datetime = Field(sa_type=UtcDateTime)


class Erasure(SQLModel, table=True):
    """A request to erase what is kept of a subject, who is forgotten here too once it is over."""

    __tablename__ = "erasure"
    __table_args__ = (one_of("state", "requested", "approved", "done", "declined"),)
    id: str = Field(primary_key=True, sa_type=TEXT)
    subject: str | None = Field(default=None, sa_type=TEXT)
    cause: str = Field(sa_type=TEXT)
    state: str = Field(sa_type=TEXT)
    requested_by: str = Field(sa_type=TEXT)
    requested_at: datetime = Field(sa_type=UtcDateTime)
    decided_by: str | None = Field(default=None, sa_type=TEXT)
    decided_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    erased: int = 0


class RetentionRun(SQLModel, table=True):
    """When the decisions of a type were last looked through for what is past its retention."""

    __tablename__ = "retention_run"
    decision_type: str = Field(primary_key=True, foreign_key="decision_type.slug", sa_type=TEXT)
    ran_at: datetime = Field(sa_type=UtcDateTime)


unsealed, sealed, tile, tree_head = map(table_of, (Unsealed, Sealed, Tile, TreeHead))
checkpoint, cosignature, push, shown = map(table_of, (Checkpoint, Cosignature, Push, Shown))
erasure, retention_run = map(table_of, (Erasure, RetentionRun))
