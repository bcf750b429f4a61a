"""Owns the shape of API keys and one-way digests of secrets. Must not draw randomness: fresh secrets come in."""

import hashlib
import hmac
import re

_KEY = re.compile(r"hr_([a-z0-9]{8})_([A-Za-z0-9_-]{43})")


def make_key(public: str, secret: str) -> str:
    """The text that a service presents: `hr_<8 public>_<43 secret>` (256 bits, base64url)."""
    key = f"hr_{public}_{secret}"
    if not _KEY.fullmatch(key):
        raise ValueError("public must be 8 of a-z0-9 and secret 43 base64url characters")
    return key


def split_key(presented: str) -> tuple[str, str] | None:
    """(public part, SHA-256 of the secret), or None when it is no key of ours."""
    match = _KEY.fullmatch(presented)
    return (match[1], secret_digest(match[2])) if match else None


def secret_digest(secret: str) -> str:
    """SHA-256 hex of a high-entropy secret (a key's or a session's; never a password's)."""
    return hashlib.sha256(secret.encode()).hexdigest()


def same_digest(one: str, other: str) -> bool:
    """Constant-time comparison."""
    return hmac.compare_digest(one, other)
