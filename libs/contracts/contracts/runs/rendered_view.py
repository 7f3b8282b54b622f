"""A run's view as JSON, with the facts that answers need apart, so that it is handed on without being read."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from contracts.runs.views import RunView


class RenderedView(NamedTuple):
    """A run's view as JSON. A final run can have no further event but those of a call that is stopped."""

    version: int
    state: str
    json: bytes
    updated_at: datetime
    is_final: bool


def render(view: RunView) -> RenderedView:
    """Write a view as JSON."""
    return RenderedView(view.version, view.state.value, view.model_dump_json().encode(), view.updated_at, view.is_final)
