"""Whose word about a caller's address is believed: the named proxies', and by default nobody's."""

import pytest
import uvicorn
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from app.commands._processes import forwarding
from app.settings import Settings
from tests.cli.conftest import Handrail

CALLER, PROXY = "203.0.113.9", "10.0.0.7"


async def told_address(scope: Scope, receive: Receive, send: Send) -> None:
    client = Request(scope).client
    await PlainTextResponse(client.host if client else "")(scope, receive, send)


def address(monkeypatch: pytest.MonkeyPatch, trusted: str, connects: str, forwarded: str) -> str:
    """The address that a handler sees when `connects` says that it forwards for `forwarded`."""
    monkeypatch.setenv("HANDRAIL_TRUSTED_PROXIES", trusted)
    config = uvicorn.Config(told_address, log_config=None, **forwarding(Settings()))
    config.load()
    client = TestClient(config.loaded_app, client=(connects, 1))
    return str(client.get("/", headers={"X-Forwarded-For": forwarded}).text)


@pytest.mark.parametrize("connects", [PROXY, "127.0.0.1", "::1"])
def test_by_default_nobody_is_believed(monkeypatch: pytest.MonkeyPatch, connects: str) -> None:
    assert connects == address(monkeypatch, "", connects, CALLER)


@pytest.mark.parametrize("trusted", [PROXY, "192.0.2.1, 10.0.0.0/24", f" {PROXY} ,"])
def test_a_named_proxy_is_believed_and_no_other(monkeypatch: pytest.MonkeyPatch, trusted: str) -> None:
    assert CALLER == address(monkeypatch, trusted, PROXY, CALLER)
    assert "10.9.9.9" == address(monkeypatch, trusted, "10.9.9.9", CALLER)


def test_a_caller_cannot_put_an_address_before_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CALLER == address(monkeypatch, PROXY, PROXY, f"198.51.100.1, {CALLER}")


@pytest.mark.parametrize("trusted", ["*", "proxy.example.org", "10.0.0.7/8", "10.0.0.7;10.0.0.8"])
def test_what_is_no_address_or_network_is_refused(
    monkeypatch: pytest.MonkeyPatch, handrail: Handrail, trusted: str
) -> None:
    monkeypatch.setenv("HANDRAIL_TRUSTED_PROXIES", trusted)
    with pytest.raises(ValidationError, match="trusted_proxies"):
        Settings()
    code, _, err = handrail("migrate")
    assert (1, True) == (code, err.startswith("HANDRAIL_TRUSTED_PROXIES: "))
