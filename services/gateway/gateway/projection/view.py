"""A run's view, folded from its events when it is read. The fold is the contracts', so the orchestrator's view is the same."""

from __future__ import annotations

from collections.abc import Iterable

from contracts.runs.run_event import RunEvent
from contracts.runs.views import RunView, project


def fold(events: Iterable[bytes], view: RunView | None = None) -> RunView | None:
    """Return the view of a history from its first event on, or behind `view`; None of an empty one."""
    for event in events:
        view = project(view, RunEvent.parse(event))
    return view
