"""Owns what events say of contents without telling them: HMAC-SHA256 (RFC 2104) under a salt of its own. Draws none.

Whoever has content and salt can check the commitment; once the salt is deleted, nobody can guess the content from it.
"""

import hmac
from collections.abc import Mapping
from typing import Final

SALT: Final = 16  # bytes
OF_DECISION: Final = ("input", "proposal", "metadata", "explanation", "subject")  # whose salts stand in a row's `salts`
RATIONALE: Final = "rationale"
SHOWN: Final = "shown"


def commit(salt: bytes, label: str, content: bytes) -> str:
    """64 hex digits: HMAC-SHA256 with the salt as key over the label and the content, one behind the other."""
    return hmac.digest(salt, label.encode() + content, "sha256").hex()


def commit_each(salts: bytes, contents: Mapping[str, bytes]) -> dict[str, str]:
    """The commitments of a decision's contents by label; `salts` holds one of SALT bytes for each of OF_DECISION."""
    return {label: commit(salt_of(salts, label), label, content) for label, content in contents.items()}


def salt_of(salts: bytes, label: str) -> bytes:
    """The salt of one of OF_DECISION."""
    at = OF_DECISION.index(label) * SALT
    return salts[at : at + SALT]
