"""A read model in memory: the same promises as the tables in PostgreSQL, and an outage at will."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from uuid import UUID

from contracts.runs.views import RunView
from gateway.ports import Away, Page, Place, Run, StepEvent, Unfit
from gateway.projection import Changes, Decision, Known, Moved, Recorded


class MemoryTables:
    """Both sides of a read model. `refuses` says which events the store cannot hold."""

    def __init__(self, refuses: Callable[[Recorded], bool] = lambda _: False) -> None:
        self._refuses = refuses
        self.away = False
        self.moved: dict[UUID, Moved] = {}
        self.events: dict[UUID, dict[int, Recorded]] = {}
        self.decisions: dict[tuple[UUID, int], Decision] = {}

    async def load(self, run_ids: Iterable[UUID]) -> dict[UUID, Known]:
        """Return what is known of each of these runs."""
        self._answer()
        return {run_id: self._known(run_id) for run_id in run_ids}

    async def write(self, changes: Changes) -> set[UUID]:
        """Write a batch; return the runs that are not as it found them."""
        self._answer()
        if any(map(self._refuses, changes.events)):
            raise Unfit("an event that this store cannot hold")
        other = {run_id for run_id, moved in changes.moved.items() if self._reached(run_id) != moved.found_version}
        self.moved |= {run_id: moved for run_id, moved in changes.moved.items() if run_id not in other}
        for recorded in changes.events:
            self.events.setdefault(recorded.event.run_id, {}).setdefault(recorded.event.version, recorded)
        for decision in changes.decisions:
            self.decisions.setdefault((decision.run_id, decision.version), decision)
        return other

    async def run(self, tenant: str, run_id: UUID) -> Run | None:
        """Return one run, or None."""
        self._answer()
        view = self._views(tenant).get(run_id)
        return None if view is None else Run(view.version, view.state.value, view.model_dump_json())

    async def history(self, tenant: str, run_id: UUID, after: int, limit: int) -> list[StepEvent]:
        """Return events of a run behind `after`, as far as its view has come."""
        self._answer()
        if run_id not in self._views(tenant):
            return []
        reached, events = self._reached(run_id), self.events.get(run_id, {})
        shown = [version for version in sorted(events) if after < version <= reached]
        return [StepEvent(version, events[version].text) for version in shown[:limit]]

    async def runs(
        self,
        tenant: str,
        limit: int,
        after: Place | None = None,
        *,
        state: str | None = None,
        session_id: str | None = None,
        user_id: str | None = None,
    ) -> Page:
        """Return a page of runs, newest first."""
        self._answer()
        found = [
            (Place(view.created_at, run_id), view)
            for run_id, view in self._views(tenant).items()
            if state in (None, view.state.value)
            and session_id in (None, view.session_id)
            and user_id in (None, view.user_id)
            and (after is None or (view.created_at, run_id) < after)
        ]
        return _page(sorted(found, key=_place, reverse=True), limit)

    async def pending(
        self,
        tenant: str,
        limit: int,
        after: Place | None = None,
        *,
        step: str | None = None,
        assignee: str | None = None,
        group: str | None = None,
        session_id: str | None = None,
    ) -> Page:
        """Return a page of the runs with a checkpoint that waits, oldest checkpoint first."""
        self._answer()
        found = [
            (Place(waits.opened_at, waits.checkpoint_id), view)
            for view in self._views(tenant).values()
            if (waits := view.checkpoint) is not None
            and step in (None, waits.step.value)
            and assignee in (None, waits.assignee)
            and group is None
            and session_id in (None, view.session_id)
            and (after is None or (waits.opened_at, waits.checkpoint_id) > after)
        ]
        return _page(sorted(found, key=_place), limit)

    def _answer(self) -> None:
        if self.away:
            raise Away("gone")

    def _reached(self, run_id: UUID) -> int:
        return self.moved[run_id].view.version if run_id in self.moved else 0

    def _known(self, run_id: UUID) -> Known:
        reached, events = self._reached(run_id), self.events.get(run_id, {})
        view = self.moved[run_id].view if run_id in self.moved else None
        return Known(view, tuple(events[version] for version in sorted(events) if version > reached))

    def _views(self, tenant: str) -> dict[UUID, RunView]:
        return {run_id: moved.view for run_id, moved in self.moved.items() if moved.tenant == tenant}


def _place(item: tuple[Place, RunView]) -> tuple[datetime, UUID]:
    return item[0]


def _page(found: list[tuple[Place, RunView]], limit: int) -> Page:
    shown = found[:limit]
    return Page([view.model_dump_json() for _, view in shown], shown[-1][0] if len(found) > limit else None)
