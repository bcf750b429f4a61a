"""Owns what can go wrong, as stable codes with plain sentences. Must not know an HTTP status: the doors map codes."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a document: where (RFC 6901 JSON pointer, "" is the whole) and what would be right."""

    pointer: str
    detail: str


@dataclass(eq=False)
class HandrailError(Exception):
    """Base of every refusal. `code` is stable and documented; `detail` is one sentence and never echoes input.

    `faults` lists each place in the caller's document; `extra` carries ids that help the caller (never payloads).
    """

    detail: str
    code: str = ""
    faults: tuple[Fault, ...] = ()
    extra: dict[str, str] = field(default_factory=dict)

    default_code = "refused"

    def __post_init__(self) -> None:
        self.code = self.code or self.default_code
        super().__init__(self.detail)

    def __str__(self) -> str:
        return self.detail


class Malformed(HandrailError):
    """The bytes are not the strict JSON (or the parameters) that we take."""

    default_code = "malformed"


class Invalid(HandrailError):
    """Well formed, but not acceptable: `faults` say where and what would be right."""

    default_code = "invalid"


class Unauthenticated(HandrailError):
    """Nobody we know: no credential, a wrong one, an expired or a revoked one."""

    default_code = "unauthenticated"


class Forbidden(HandrailError):
    """Somebody we know, who may not do this."""

    default_code = "forbidden"


class NotFound(HandrailError):
    """No such thing, or none that the caller may know of."""

    default_code = "not_found"


class Conflict(HandrailError):
    """The thing is not in the state that the call needs: lost lease, settled review, taken name."""

    default_code = "conflict"


class Throttled(HandrailError):
    """Too many tries; `extra["retry_after"]` is whole seconds."""

    default_code = "throttled"


class Unavailable(HandrailError):
    """We cannot keep a promise right now (database away, disk full); the caller may try again."""

    default_code = "unavailable"
