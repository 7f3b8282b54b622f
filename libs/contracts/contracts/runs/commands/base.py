"""What every command of a run says, and the id by which a repeated one is known."""

from __future__ import annotations

from operator import not_
from typing import Annotated
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import Field

from contracts.identity import Principal
from contracts.message import ID_NAMESPACE, Message, Sha256, StoredIdentifier, Timestamp

_NAMESPACE = uuid5(NAMESPACE_URL, f"{ID_NAMESPACE}:command")

SYSTEM = "system"
"""The actor of a command that no person gave."""


def command_id(*names: object) -> UUID:
    """Derive a command's id from its subject, so that the same command again has the same id."""
    return uuid5(_NAMESPACE, "\x1f".join(map(str, names)))


class Command(Message):
    """The members of every command.

    `request_sha256` is the digest of an idempotent request's body; `expected_version` comes from `If-Match`;
    `reply_to` is the partition of `run.outcomes` on which the asker waits.
    """

    command_id: UUID
    run_id: UUID
    tenant: StoredIdentifier = "default"
    at: Timestamp
    actor: StoredIdentifier = SYSTEM
    request_sha256: Sha256 | None = None
    expected_version: int | None = None
    reply_to: Annotated[int, Field(ge=0)] | None = None


class Asked(Command):
    """A command of a person or of a service that acts for one. `principal` is who asks, as the door resolved it: none while authentication is off."""

    principal: Principal | None = Field(None, exclude_if=not_)
