"""Owns the `handrail` command: which commands there are, and one plain sentence when one of them fails."""

import logging
import sys
from collections.abc import Callable
from typing import Any

import typer
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from app.commands import access, demo, documents, erasure, records, server
from app.commands._desk import say
from app.commands.submit import submit
from app.domain.errors import HandrailError

WRONG_USAGE = 2
BROKEN_DOCUMENT = ("policy_invalid", "type_invalid")
Command = Callable[..., None]


def _group(about: str, **commands: Command) -> typer.Typer:
    group = typer.Typer(no_args_is_help=True, help=about, pretty_exceptions_enable=False)
    for name, command in commands.items():
        group.command(name.replace("_", "-"))(command)
    return group


cli = _group(
    "The human-in-the-loop review queue for AI decisions.",
    migrate=server.migrate,
    serve=server.serve,
    worker=server.worker,
    demo=demo.demo,
    submit=submit,
    verify=records.verify,
    doctor=server.doctor,
    erase_subject=erasure.erase_subject,
    vacuum=erasure.vacuum,
)
GROUPS = {
    "type": _group("Decision types.", apply=documents.type_apply),
    "policy": _group("Policies.", validate=documents.policy_validate, apply=documents.policy_apply),
    "user": _group("People.", add=access.user_add, erase=erasure.user_erase),
    "key": _group("Keys.", create=access.key_create, create_signing=access.key_create_signing),
    "export": _group("Exports.", decisions=records.export_decisions, bundle=records.export_bundle),
}
for _name, _commands in GROUPS.items():
    cli.add_typer(_commands, name=_name)


def main() -> None:
    """Run the command and exit: 0 done, 1 the thing asked for failed, 2 wrong usage or a broken document."""
    sys.exit(run())


def run(args: list[str] | None = None) -> int:
    """The exit code of a command line; whatever fails is told in plain sentences on stderr."""
    logging.getLogger("app").addHandler(logging.NullHandler())  # until a server is run, sentences are all we say
    try:
        code: Any = cli(args, prog_name="handrail", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except typer.TyperException as error:
        say(error.format_message().replace(": Value error, ", ": "))
        return WRONG_USAGE
    except HandrailError as error:
        return _refused(error)
    except ValidationError as error:
        for one in error.errors(include_input=False):
            say(f"HANDRAIL_{str(one['loc'][0]).upper()}: {one['msg']}.")
        return 1
    except DBAPIError as error:
        say(f"The database refused what was asked of it ({type(error.orig).__name__}); `handrail doctor` tells more.")
        return 1
    except OSError as error:
        say(f"{error.filename or 'Input or output'}: {error.strerror or 'failed'}.")
        return 1
    except typer.Abort:
        return 1


def _refused(error: HandrailError) -> int:
    if error.code not in BROKEN_DOCUMENT:
        say(error.faults[0].detail if error.faults else error.detail)
        return 1
    for fault in error.faults:
        say(f"{fault.pointer or '/'}: {fault.detail}")
    return WRONG_USAGE
