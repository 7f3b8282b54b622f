"""A run's view, folded of its events when somebody asks for it. The same fold as the orchestrator's, so the same view."""

from __future__ import annotations

from collections.abc import Iterable

from contracts.runs.run_event import RunEvent
from contracts.runs.views import RunView, project
from gateway.ports import Run


def fold(records: Iterable[bytes]) -> RunView | None:
    """Return the view of a history from its first event on, or None of nothing."""
    view = None
    for record in records:
        view = project(view, RunEvent.parse(record))
    return view


def run_of(view: RunView) -> Run:
    """Return a run as it is shown."""
    return Run(view.version, view.state.value, view.model_dump_json().encode())
