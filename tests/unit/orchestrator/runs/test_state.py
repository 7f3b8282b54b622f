"""The run's state: changed by events alone, into another value."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import get_type_hints

import pytest

from orchestrator.runs import Run
from orchestrator.runs.state import Changes
from testkit.runs.commands import calling

FIXED = {"request", "tenant", "requester", "parent"}
"""The fields that no event changes."""


def test_changes_name_the_fields_of_a_run_with_their_types() -> None:
    """The type checker holds events to `Changes`, and this test holds `Changes` to `Run`."""
    fields = get_type_hints(Run)
    assert get_type_hints(Changes) == {name: fields[name] for name in fields.keys() - FIXED}


def test_a_changed_run_is_another_value() -> None:
    """The cache may keep the run before an event while the run after it is made."""
    before = calling().now
    after = before.changed({"payload": {}, "attempt": None})
    assert after == replace(before, payload={}, attempt=None)
    assert (before.payload, before.attempt) == (calling().now.payload, calling().now.attempt)
    assert after != before


def test_a_run_cannot_be_assigned_to() -> None:
    """Only an event changes it."""
    with pytest.raises(FrozenInstanceError):
        calling().now.tenant = "elsewhere"  # type: ignore[misc]
