"""Subjects for the tests of checks."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from provider_worker.checks.base import Stage, Subject

MakeSubject = Callable[..., Subject]


@pytest.fixture
def subject() -> MakeSubject:
    """Make a subject: of a payload, or of a response where one is given."""

    def make(**given: Any) -> Subject:
        known: dict[str, Any] = {
            "stage": Stage.RESPONSE if "response" in given else Stage.PAYLOAD,
            "tenant": "acme",
            "user_id": "ann",
            "session_id": None,
            "run_id": UUID(int=7),
            "work_id": "work-1",
            "provider": "sandbox",
            "model": "sandbox-1",
            "operation": "text",
            "payload": {"prompt": "Hello"},
            "estimate": Decimal("0.10"),
        }
        return Subject(**{**known, **given})

    return make
