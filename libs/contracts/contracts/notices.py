"""Notices: what one aggregate tells another, as a command that follows from an event.

A notice's id is derived from its sender and the version it follows from, so a notice that is sent again is the same notice.
"""

from __future__ import annotations

from typing import Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from contracts.message import ID_NAMESPACE, Message, StoredIdentifier, Timestamp

_CHILDREN = uuid5(NAMESPACE_URL, f"{ID_NAMESPACE}:child")


class Parent(Message):
    """Who started a run, and is told of its end: the topic of its commands, its id there, and its own name for the child."""

    topic: StoredIdentifier
    stream_id: UUID
    path: StoredIdentifier


class ChildEnded(Message):
    """A child came to an end, or its start was refused. Sent on the parent's topic of commands.

    A person may retry a child that failed: then it ends again, with a higher `version`.
    `command_id` is uuid5(child, version), or uuid5(child, the refused command). `code` says why it failed, was cancelled or refused.
    """

    kind: Literal["child-ended.v1"] = "child-ended.v1"
    command_id: UUID
    tenant: StoredIdentifier
    at: Timestamp
    stream_id: UUID
    path: StoredIdentifier
    child: StoredIdentifier
    child_id: UUID
    version: int
    state: Literal["completed", "failed", "cancelled", "refused"]
    code: str | None = None

    @property
    def request_sha256(self) -> None:
        """A notice has no Idempotency-Key."""

    @property
    def reply_to(self) -> None:
        """A notice waits for no outcome."""


def start_id(child: UUID) -> UUID:
    """Derive the id of the command that starts a child, so that a parent which asks again sends the same start."""
    return uuid5(child, "start")


def child_id(parent: UUID, path: str, attempt: int = 1) -> UUID:
    """Derive a child's id from its parent, its name there and the attempt, so that starting it again is the same start."""
    return uuid5(_CHILDREN, f"{parent}\x1f{path}\x1f{attempt}")
