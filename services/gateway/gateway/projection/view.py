"""A run's view, folded from its events when it is read. The fold is the contracts', so the orchestrator's view is the same."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from contracts.runs.run_event import RunEvent
from contracts.runs.views import RunView, project


class RenderedView(NamedTuple):
    """A run's view as JSON, with the facts that answers need apart. A final run can have no further event but those of a call that is stopped."""

    version: int
    state: str
    json: bytes
    updated_at: datetime
    is_final: bool


def fold(events: Iterable[bytes], view: RunView | None = None) -> RunView | None:
    """Return the view of a history from its first event on, or behind `view`; None of an empty one."""
    for event in events:
        view = project(view, RunEvent.parse(event))
    return view


def render(view: RunView) -> RenderedView:
    """Write a view as JSON."""
    final = view.is_over and not view.pending_actions
    return RenderedView(view.version, view.state.value, view.model_dump_json().encode(), view.updated_at, final)
