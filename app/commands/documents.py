"""Owns the commands about documents: type apply, policy validate, policy apply. Must not know what a document means."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.actions import policies, types
from app.commands._desk import database, say, text_of
from app.domain.access import SYSTEM
from app.domain.errors import HandrailError, NotFound
from app.domain.policy import parse_policy
from app.settings import Settings
from app.store.db import driver_url

Document = Annotated[Path, typer.Argument(help="YAML or JSON.", exists=True, dir_okay=False)]


def type_apply(file: Document) -> None:
    """Create or change a decision type."""
    source = text_of(file)
    with database() as db:
        done = types.apply(db, SYSTEM, source)
    word = "created" if done["created"] else "changed" if done["changed"] else "unchanged"
    typer.echo(f"{done['slug']} {word}, revision {done['revision']}")


def policy_validate(file: Document) -> None:
    """Say every fault of a policy with its path; exit 2 when there is one. Changes nothing."""
    source = text_of(file)
    policy = parse_policy(source)
    if not _fits_its_type(policy.decision_type, source):
        say(f"The decision type {policy.decision_type} is not at hand, so its outcomes were not checked.")
    typer.echo(f"{file} is sound: {policy.digest}")


def policy_apply(
    file: Document,
    activate: Annotated[bool, typer.Option("--activate", help="Let it route from the next decision on.")] = False,
) -> None:
    """Keep a policy as a new version; prints the version."""
    source = text_of(file)
    slug = parse_policy(source).decision_type
    with database() as db:
        kept = policies.draft(db, SYSTEM, slug, source)
        version = kept["version"]
        _warn(kept["warnings"])
        if activate:
            policies.activate(db, SYSTEM, slug, version)
    typer.echo(version)


def _warn(doubts: Iterable[Mapping[str, str]]) -> None:
    for one in doubts:
        say(f"warning: {one['pointer']} {one['detail']}")


def _fits_its_type(slug: str, source: str) -> bool:
    """Whether the policy was held against its type; without a database that is no fault. Raises Invalid."""
    url = driver_url(Settings().database_url)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        return False
    try:
        with database() as db:
            _warn(asdict(one) for one in policies.validate(db, SYSTEM, slug, source))
    except NotFound:
        return False
    except HandrailError as error:
        if error.faults:
            raise
        return False
    return True
