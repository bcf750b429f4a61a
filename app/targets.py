"""Owns the ways by which checkpoints leave: a file, a webhook, e-mail. Built from the settings; decides no time."""

import os
import smtplib
import ssl
from datetime import timedelta
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

import httpx

from app import __version__
from app.actions.pushes import Plan, Pushed, Target
from app.domain.errors import HandrailError
from app.settings import Settings

WAIT = 10.0  # seconds
LETTER = """This is a checkpoint of the audit log {origin}: {size} events, under one hash and one signature.

Keep this message. With the attached file, anybody can show later whether the log still holds what it held now:
`python verify.py BUNDLE --since checkpoint-{size}.txt`.
"""


def plan_of(settings: Settings) -> Plan:
    """Where the settings say that checkpoints go. Raises HandrailError."""
    found = []
    if settings.push_file:
        found.append(Target(f"file {settings.push_file}", partial(to_file, settings.push_file)))
    if settings.push_webhook:
        url = settings.push_webhook.get_secret_value()
        host = _parts(url, "HANDRAIL_PUSH_WEBHOOK", "https", "http").hostname
        found.append(Target(f"webhook {host}", partial(to_webhook, url)))
    if settings.push_email:
        server = _parts(settings.smtp_url.get_secret_value() if settings.smtp_url else "", "HANDRAIL_SMTP_URL", "smtps",
                        "smtp")  # fmt: skip
        letter = partial(to_mailbox, server, settings.log_origin, settings.email_from, settings.push_email)
        found.append(Target(f"e-mail {', '.join(settings.push_email)}", letter))
    return Plan(found, timedelta(seconds=settings.push_every))


def _parts(url: str, setting: str, *schemes: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        sound = False
    if not sound:
        raise HandrailError(f"{setting} must begin with {' or '.join(f'{one}://' for one in schemes)} and name a host.")
    return parts


def to_file(name: str, pushed: Pushed) -> None:
    """Write the note so that the file is whole whenever somebody reads it; `{size}` in the name makes it a new one."""
    path = Path(name.replace("{size}", str(pushed.size)))
    beside = path.with_name(f".{path.name}.part")
    with beside.open("w", encoding="utf-8") as file:
        file.write(pushed.note)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def to_webhook(url: str, pushed: Pushed) -> None:
    """POST the note as plain text; any 2xx is an arrival."""
    headers = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": f"Handrail/{__version__}"}
    httpx.post(url, content=pushed.note.encode(), headers=headers, timeout=WAIT).raise_for_status()


def to_mailbox(server: SplitResult, origin: str, sender: str, receivers: tuple[str, ...], pushed: Pushed) -> None:
    """Send the note as an attachment; by TLS from the start (smtps), or as soon as the server offers it."""
    letter = EmailMessage()
    letter["From"], letter["To"] = sender, ", ".join(receivers)
    letter["Subject"] = f"Checkpoint of {origin}: {pushed.size} events"
    letter.set_content(LETTER.format(origin=origin, size=pushed.size))
    letter.add_attachment(pushed.note.encode(), "text", "plain", filename=f"checkpoint-{pushed.size}.txt")
    with _connected(server) as connection:
        if server.username:
            connection.login(unquote(server.username), unquote(server.password or ""))
        connection.send_message(letter)


def _connected(server: SplitResult) -> smtplib.SMTP:
    trust, host = ssl.create_default_context(), server.hostname or ""
    if server.scheme == "smtps":
        return smtplib.SMTP_SSL(host, server.port or 465, timeout=WAIT, context=trust)
    plain = smtplib.SMTP(host, server.port or 587, timeout=WAIT)
    plain.ehlo()
    if plain.has_extn("starttls"):
        plain.starttls(context=trust)
    elif server.username:
        plain.close()
        raise smtplib.SMTPNotSupportedError("a password is not sent without TLS")
    return plain
