"""An event in its place: one record of `run.events`, stored and published as the same bytes."""

from __future__ import annotations

from operator import not_
from typing import Any, Self
from uuid import UUID

from pydantic import Field, SerializeAsAny, ValidatorFunctionWrapHandler, field_validator
from pydantic_core import to_json
from pydantic_core.core_schema import ValidationInfo

from contracts.identity import Principal
from contracts.message import Message, Timestamp
from contracts.runs.events import EVENT_KINDS, Event, UnknownEvent


class RunEvent(Message):
    """One record of `run.events`: an event in its place. (run_id, version) names it."""

    kind: str
    run_id: UUID
    version: int
    at: Timestamp
    tenant: str
    user_id: str | None
    session_id: str | None
    actor: str
    cause: UUID
    request_sha256: str | None = None
    principal: Principal | None = Field(None, exclude_if=not_)
    data: SerializeAsAny[Event]

    @field_validator("data", mode="wrap")
    @classmethod
    def _by_kind(cls, data: Any, _: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Event:
        if isinstance(data, Event):
            return data
        known = EVENT_KINDS.get(info.data.get("kind", ""))
        return known.model_validate(data) if known else UnknownEvent(facts=data)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read one record, of a known kind or not. Raises pydantic.ValidationError."""
        return cls.model_validate_json(body)

    def to_bytes(self) -> bytes:
        """Return the record's value: stored, published and shown as the same bytes."""
        return to_json(self)

    def headers(self) -> list[tuple[str, bytes]]:
        """Return the headers that readers filter by, so that no value is parsed to be skipped."""
        return [
            ("kind", self.kind.encode()),
            ("tenant", self.tenant.encode()),
            ("user_id", (self.user_id or "").encode()),
            ("session_id", (self.session_id or "").encode()),
            ("content-type", b"application/json"),
        ]
