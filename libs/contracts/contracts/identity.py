"""Who acts: resolved once at the door from a credential, and carried in every command and event. Knows no credential's form."""

from __future__ import annotations

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
    def own_runs_of(self) -> str | None:
        """The person whose runs are all that it reads; None where it reads every run of its tenant."""
        return None if self.has(Role.ADMIN, Role.AUDITOR, Role.REVIEWER) else self.person

    def has(self, *roles: Role) -> bool:
        """Return whether it has one of these roles."""
        return any(role in self.roles for role in roles)

    def may(self, right: Right) -> bool:
        """Return whether one of its roles has the right. Whose thing it is about is another question."""
        return self.has(*ROLES[right])


class Right(StrEnum):
    """What can be asked for. Each route and each command of a person is one of these."""

    START = "start a run"
    READ = "read runs"
    DECIDE = "decide"
    COMMENT = "comment on a run"
    CANCEL = "cancel a run"
    STEER = "pause or resume a run"
    KEEP_FILES = "upload a file"
    READ_CATALOG = "read the providers"
    READ_SELF = "read who one is"
    MANAGE_KEYS = "manage API keys"


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
