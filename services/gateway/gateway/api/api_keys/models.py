"""What the endpoints of API keys take and answer. No behaviour."""

from __future__ import annotations

from datetime import datetime
from operator import not_
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from contracts.identity import Kind, Right, Role
from contracts.message import Identifier, Message
from contracts.runs.tasks.rules import Date

MOST_OVERLAP_SECONDS = 30 * 24 * 3600
DEFAULT_OVERLAP_SECONDS = 3600.0

Groups = Annotated[tuple[Identifier, ...], Field(max_length=100)]


class KeyBody(Message):
    """A key to make. `subject` is whom it stands for: votes are counted by it, so one person has one subject."""

    name: Identifier
    subject: Identifier
    roles: Annotated[tuple[Role, ...], Field(min_length=1, max_length=len(Role))]
    groups: Groups = ()
    scopes: Annotated[tuple[Right, ...], Field(min_length=1, max_length=len(Right))] | None = Field(
        None, description="The rights that it is narrowed to. Without them, its roles alone decide."
    )
    kind: Kind = "person"
    expires_at: Date | None = None


class RotationBody(Message):
    """A key to put in another's place."""

    overlap_seconds: float = Field(
        DEFAULT_OVERLAP_SECONDS, ge=0, le=MOST_OVERLAP_SECONDS, description="For how long the old key works beside it."
    )


class ApiKey(BaseModel):
    """A key without its text."""

    id: UUID
    name: str
    subject: str
    kind: Kind
    roles: list[Role]
    groups: list[str]
    scopes: list[str] = Field(description="The rights that it is narrowed to; none where its roles alone decide.")
    owner: str | None = Field(description="The person who answers for a service: who made its key.")
    prefix: str = Field(description="How its text begins.")
    state: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None


class MadeKey(ApiKey):
    """A key with its text, which is shown this once."""

    key: str


class KeyPage(BaseModel):
    """Keys, oldest first, and the cursor of the next page if there is one."""

    items: list[ApiKey]
    next_cursor: str | None


class Me(BaseModel):
    """Who asks."""

    tenant: str
    subject: str
    name: str | None
    kind: Kind
    roles: list[Role]
    groups: list[str]
    scopes: list[str] = Field(description="The rights that the credential is narrowed to; none where roles decide.")
    csrf_token: str | None = Field(
        None, exclude_if=not_, description="To a session alone: what its writes carry in `X-CSRF-Token`."
    )
