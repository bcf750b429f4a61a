"""Owns the security and cache headers of everything that a browser loads. Must not read bodies."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"content-security-policy", CSP.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
PAGE: Final = (*ALWAYS, (b"cache-control", b"no-store"), (b"vary", b"HX-Request"))
STATIC: Final = (*ALWAYS, (b"cache-control", b"no-cache"))
STATIC_FOREVER: Final = (*ALWAYS, (b"cache-control", b"public, max-age=31536000, immutable"))


class SecureHeaders:
    """ASGI middleware: adds the headers to pages and static files; the API's own paths pass untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(("/api/v1/", "/livez", "/readyz", "/metrics")):
            await self.app(scope, receive, send)
            return
        added = _headers(scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(one for one in added if one[0] not in present)]
            await send(message)

        await self.app(scope, receive, with_headers)


def _headers(scope: Scope) -> tuple[tuple[bytes, bytes], ...]:
    path: str = scope["path"]
    if not path.startswith("/static/"):
        return PAGE
    return STATIC_FOREVER if path.startswith("/static/vendor/") else STATIC
