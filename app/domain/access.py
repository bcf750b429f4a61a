"""Owns who may do what: one table of roles and scopes. Must not look anything up: grants come in with the actor."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar

from app.domain.errors import Forbidden

EVERY_TYPE = "*"


class Permission(StrEnum):
    """What a route or an action needs. The value is what audit events and error sentences say."""

    SUBMIT = "submit decisions"
    CANCEL = "withdraw decisions"
    READ_DECISIONS = "read decisions"
    REVIEW = "review decisions"
    REVIEW_ESCALATED = "review escalated decisions"
    RELEASE_OTHERS = "release reviews that others hold"
    READ_POLICIES = "read policies"
    EDIT_POLICIES = "change policies"
    EDIT_TYPES = "change decision types"
    EXPORT = "export records"
    READ_AUDIT = "read the audit trail"
    MANAGE_PEOPLE = "manage people"
    MANAGE_KEYS = "manage keys"
    ERASE = "erase data"
    HOLD = "put decisions under legal hold"
    OPERATE = "watch over this installation"


P = Permission

ROLES: Mapping[str, frozenset[Permission]] = MappingProxyType({
    "reviewer": frozenset({P.REVIEW, P.READ_DECISIONS, P.READ_POLICIES}),
    "lead": frozenset({P.REVIEW, P.REVIEW_ESCALATED, P.RELEASE_OTHERS, P.READ_DECISIONS, P.READ_POLICIES}),
    "policy_owner": frozenset({P.READ_DECISIONS, P.READ_POLICIES, P.EDIT_POLICIES, P.EDIT_TYPES}),
    "auditor": frozenset({P.READ_DECISIONS, P.READ_POLICIES, P.READ_AUDIT, P.EXPORT}),
    "admin": frozenset({
        P.MANAGE_PEOPLE, P.MANAGE_KEYS, P.EDIT_TYPES, P.EDIT_POLICIES, P.READ_POLICIES, P.READ_DECISIONS,
        P.READ_AUDIT, P.EXPORT, P.OPERATE, P.ERASE, P.HOLD,
    }),
})  # fmt: skip

SCOPES: Mapping[str, frozenset[Permission]] = MappingProxyType({
    "decisions:write": frozenset({P.SUBMIT, P.CANCEL}),
    "decisions:read": frozenset({P.READ_DECISIONS, P.READ_POLICIES}),
    "reviews:write": frozenset({P.REVIEW, P.REVIEW_ESCALATED, P.RELEASE_OTHERS}),
    "audit:read": frozenset({P.READ_AUDIT, P.EXPORT, P.READ_DECISIONS}),
    "admin": frozenset({
        P.MANAGE_PEOPLE, P.MANAGE_KEYS, P.EDIT_TYPES, P.EDIT_POLICIES, P.READ_POLICIES, P.READ_DECISIONS,
        P.ERASE, P.HOLD,
    }),
})  # fmt: skip

ONLY_PEOPLE = frozenset({P.REVIEW, P.REVIEW_ESCALATED, P.RELEASE_OTHERS})
ONLY_KEYS = frozenset({P.SUBMIT, P.CANCEL})
EVERYWHERE = frozenset({P.MANAGE_PEOPLE, P.MANAGE_KEYS, P.OPERATE, P.ERASE})  # a grant for one type never carries these


@dataclass(frozen=True, slots=True)
class Grant:
    """A role that a person holds, for one decision type (its slug) or for `*`."""

    role: str
    decision_type: str = EVERY_TYPE


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever acts: a signed-in person, a service's key, a key that acts as a person, or the system itself.

    `id` is `usr_...`, `key_...` or `system`; `person_id` is set when a person acts, by browser or by key;
    `owner_id` is the person answerable for a key; `service` is the key's name.
    """

    kind: Literal["person", "key", "system"]
    id: str
    name: str
    person_id: str | None = None
    key_id: str | None = None
    owner_id: str | None = None
    service: str | None = None
    grants: tuple[Grant, ...] = ()
    scopes: frozenset[str] = frozenset()
    request_id: str | None = None
    zone: str = "UTC"
    shortcuts: bool = True
    session_id: str | None = field(default=None, repr=False)

    def may(self, permission: Permission, decision_type: str | None = None) -> bool:
        """Whether the actor holds `permission` for a type; with no type, for at least one."""
        types = self.types(permission)
        return types is None or (bool(types) if decision_type is None else decision_type in types)

    def types(self, permission: Permission) -> frozenset[str] | None:
        """The decision types (slugs) for which the actor holds `permission`; None means every type."""
        if self.kind == "system":
            return None
        if self.kind == "person":
            return _granted(self.grants, permission)
        if not any(permission in SCOPES.get(scope, ()) for scope in self.scopes):
            return frozenset()
        if self.person_id is None:
            return frozenset() if permission in ONLY_PEOPLE else None
        return None if permission in ONLY_KEYS else _granted(self.grants, permission)

    def may_as_person(self, permission: Permission, decision_type: str) -> bool:
        """Whether the person who acts holds it by role, whatever the scopes of the key that they use just now."""
        types = _granted(self.grants, permission) if self.person_id is not None else frozenset()
        return types is None or decision_type in types

    def must(self, permission: Permission, decision_type: str | None = None) -> None:
        """Raise Forbidden unless the actor holds the permission."""
        if not self.may(permission, decision_type):
            where = f" for {decision_type}" if decision_type else ""
            raise Forbidden(f"You may not {permission.value}{where}.")

    @property
    def roles(self) -> tuple[str, ...]:
        return tuple(sorted({grant.role for grant in self.grants}))


def _granted(grants: tuple[Grant, ...], permission: Permission) -> frozenset[str] | None:
    types = {
        grant.decision_type
        for grant in grants
        if permission in ROLES.get(grant.role, ())
        and (grant.decision_type == EVERY_TYPE or permission not in EVERYWHERE)
    }
    return None if EVERY_TYPE in types else frozenset(types)


SYSTEM = Actor(kind="system", id="system", name="Handrail")

Handler = TypeVar("Handler", bound=Callable[..., Any])
PUBLIC: Final = "public"
SIGNED_IN: Final = "signed in"


def declare(permission: Permission | Literal["public", "signed in"]) -> Callable[[Handler], Handler]:
    """Say on a door's handler what it needs; the doors enforce it, and a test refuses handlers that do not say."""

    def mark(handler: Handler) -> Handler:
        handler.__permission__ = permission  # type: ignore[attr-defined]
        return handler

    return mark
