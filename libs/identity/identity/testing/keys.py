"""API keys for tests, of persons of the default tenant unless something else is said."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

from contracts.identity import Role
from identity.keys.record import KeyRecord, NewKey, new_key


def made_key(subject: str, *roles: Role, at: datetime, **members: Any) -> tuple[NewKey, KeyRecord]:
    """Make a key at a time; return it, and what is kept of it."""
    made = new_key()
    known: dict[str, Any] = {
        "id": uuid4(),
        "tenant": "default",
        "name": subject,
        "subject": subject,
        "kind": "person",
        "roles": roles,
        "groups": (),
        "owner": None,
        "prefix": made.prefix,
        "created_at": at,
        "created_by": "test",
    }
    return made, KeyRecord(**{**known, **members})
