"""Who acts: resolved once at the door from a credential, and carried in every command and event. Knows no credential's form."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from operator import not_
from typing import Literal

from pydantic import Field

from contracts.message import Message, StoredIdentifier


class Role(StrEnum):
    """What a principal may do within its tenant. Several add up."""

    REQUESTER = "requester"
    """Starts runs; reads and cancels its own."""

    REVIEWER = "reviewer"
    """Reads what it is a candidate for, and decides."""

    ADMIN = "admin"
    """Does everything in its tenant."""

    AUDITOR = "auditor"
    """Reads everything in its tenant, and changes nothing."""


Kind = Literal["person", "service"]


class Principal(Message):
    """Who acts, in which tenant, with which rights, by which credential."""

    tenant: StoredIdentifier
    subject: StoredIdentifier = Field(
        description="Who it is, within the tenant: one person or service has one subject."
    )
    kind: Kind = "person"
    name: StoredIdentifier | None = Field(None, exclude_if=not_, description="What people call it.")
    roles: tuple[Role, ...] = ()
    groups: tuple[StoredIdentifier, ...] = ()
    scopes: tuple[StoredIdentifier, ...] = Field(
        (),
        exclude_if=not_,
        description="The rights that its credential is narrowed to. Without any, its roles alone decide.",
    )
    credential: StoredIdentifier = Field(
        description="By which credential it came: its kind and its id, never its secret."
    )
    owner: StoredIdentifier | None = Field(
        None, exclude_if=not_, description="The person who answers for a service: who made its key."
    )
    on_behalf_of: tuple[StoredIdentifier, ...] = Field(
        (), exclude_if=not_, description="The persons whom it stands in for while they are absent."
    )

    @property
    def person(self) -> str:
        """The person behind it: votes are counted by persons, and two keys of one person are one."""
        return self.owner if self.kind == "service" and self.owner is not None else self.subject

    @property
    def names(self) -> tuple[str, ...]:
        """What tells it from every other principal, for the ids of its commands. A person's are the tenant and the subject alone.

        A service may bear the name of a person, or of another owner's service. No two have one sequence of names.
        """
        of_kind = () if self.kind == "person" else (self.kind, self.person)
        return (self.tenant, *of_kind, self.subject)

    def has(self, *roles: Role) -> bool:
        """Return whether it has one of these roles."""
        return any(role in self.roles for role in roles)

    def may(self, right: Right) -> bool:
        """Return whether both its roles and its scopes allow the right. Whose thing it is about is another question.

        A scope that only a newer version knows allows nothing here, and narrows all the same.
        """
        return self.has(*ROLES[right]) and (not self.scopes or right in self.scopes)

    def may_grant(self, roles: Collection[Role], scopes: Collection[str]) -> bool:
        """Return whether another credential with these roles and scopes would have no right that this one lacks.

        A narrowed one grants narrowed ones alone: a credential without scopes gains what its roles gain later.
        """
        are_narrow = not self.scopes or (len(scopes) > 0 and set(scopes) <= set(self.scopes))
        return are_narrow and (self.has(Role.ADMIN) or set(roles) <= set(self.roles))

    def refusal(self, right: Right, of: str = "") -> str:
        """Say to people that it may not, and why. `of` says of which things it may not, where it may of others."""
        roles, scopes = (", ".join(named) or "none" for named in (self.roles, self.scopes))
        narrowed = f"; its scopes: {scopes}" if self.scopes else ""
        return f"{self.subject} may not {PHRASES[right]}{of and ' '}{of}; its roles: {roles}{narrowed}"


class Right(StrEnum):
    """What can be asked for, as scopes name it. Each route and each command of a person is one of these."""

    START = "runs:start"
    READ = "runs:read"
    DECIDE = "decisions:write"
    COMMENT = "comments:write"
    CANCEL = "runs:cancel"
    STEER = "runs:pause"
    KEEP_FILES = "files:write"
    READ_CATALOG = "providers:read"
    READ_SELF = "self:read"
    MANAGE_KEYS = "keys:manage"


PHRASES: dict[Right, str] = {
    Right.START: "start a run",
    Right.READ: "read runs",
    Right.DECIDE: "decide",
    Right.COMMENT: "comment on a run",
    Right.CANCEL: "cancel a run",
    Right.STEER: "pause or resume a run",
    Right.KEEP_FILES: "upload a file",
    Right.READ_CATALOG: "read the providers",
    Right.READ_SELF: "read who one is",
    Right.MANAGE_KEYS: "manage API keys",
}
"""Each right in words, for messages and documents."""

_ALL = tuple(Role)

ROLES: dict[Right, tuple[Role, ...]] = {
    Right.START: (Role.REQUESTER, Role.ADMIN),
    Right.READ: _ALL,
    Right.DECIDE: (Role.REVIEWER, Role.ADMIN),
    Right.COMMENT: (Role.REQUESTER, Role.REVIEWER, Role.ADMIN),
    Right.CANCEL: (Role.REQUESTER, Role.ADMIN),
    Right.STEER: (Role.REVIEWER, Role.ADMIN),
    Right.KEEP_FILES: (Role.REQUESTER, Role.REVIEWER, Role.ADMIN),
    Right.READ_CATALOG: _ALL,
    Right.READ_SELF: _ALL,
    Right.MANAGE_KEYS: (Role.ADMIN,),
}
"""The role table: who has which right. A requester has it over its own runs, a reviewer over what it is a candidate for."""
