"""Owns what table definitions share: names of constraints, text columns, checks. Must not know a table."""

from typing import Any, cast

import sqlalchemy as sa
from sqlmodel import SQLModel

TEXT = sa.Text()

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


def one_of(column: str, *values: str) -> sa.CheckConstraint:
    quoted = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({quoted})", name=f"{column}_known")


def where(predicate: str, on_sqlite: str | None = None) -> dict[str, Any]:
    """The predicate of a partial index."""
    return {"postgresql_where": sa.text(predicate), "sqlite_where": sa.text(on_sqlite or predicate)}


def table_of(model: Any) -> sa.Table:
    return cast(sa.Table, model.__table__)
