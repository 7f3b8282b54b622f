"""A read model in memory: the same promises as the tables in PostgreSQL, and an outage at will."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from uuid import UUID

from contracts.runs.event_header import EventHeader
from gateway.ports import Away, Page, Place, Run, StepEvent, Unfit
from gateway.projection.rows import Changes, Decision, Known, Standing, known_at
from gateway.projection.view import fold, run_of


class MemoryTables:
    """Both sides of a read model, and the record under it. `refuses` says which rows the store cannot hold."""

    def __init__(self, refuses: Callable[[Standing], bool] = lambda _: False) -> None:
        self._refuses = refuses
        self.away = False
        self.record: dict[UUID, dict[int, bytes]] = {}
        self.rows: dict[UUID, Standing] = {}
        self.decisions: dict[tuple[UUID, int], Decision] = {}

    def append(self, value: bytes) -> None:
        """Write an event into the record, as the orchestrator does before it publishes it."""
        header = EventHeader.parse(value)
        self.record.setdefault(header.run_uuid, {}).setdefault(header.version, value)

    async def load(self, run_ids: Iterable[UUID]) -> dict[UUID, Known]:
        """Return what is known of each of these runs."""
        self._answer()
        return {
            run_id: known_at(self._reached(run_id), map(EventHeader.parse, self._history(run_id))) for run_id in run_ids
        }

    async def write(self, changes: Changes) -> set[UUID]:
        """Write a batch; return the runs that are not as it found them."""
        self._answer()
        if any(self._refuses(moved.standing) for moved in changes.moved.values()):
            raise Unfit("a row that this store cannot hold")
        other = {
            run_id
            for run_id, moved in changes.moved.items()
            if self._reached(run_id) != (moved.found.version if moved.found else 0)
        }
        self.rows |= {run_id: moved.standing for run_id, moved in changes.moved.items() if run_id not in other}
        for decision in changes.decisions:
            self.decisions.setdefault((decision.run_id, decision.version), decision)
        return other

    async def run(self, tenant: str, run_id: UUID) -> Run | None:
        """Return one run, or None."""
        view = fold(event.record for event in await self.history(tenant, run_id, 0))
        return run_of(view) if view else None

    async def history(self, tenant: str, run_id: UUID, after: int, limit: int | None = None) -> list[StepEvent]:
        """Return events of a run behind `after`, as far as its row has come."""
        self._answer()
        row = self.rows.get(run_id)
        if row is None or row.tenant != tenant:
            return []
        told = [(EventHeader.parse(value), value) for value in self._history(run_id)]
        found = [StepEvent(header.version, header.kind, value) for header, value in told]
        return [event for event in found if after < event.version <= row.version][:limit]

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
        found = {
            Place(row.created_at, row.run_id): row
            for row in self.rows.values()
            if row.tenant == tenant
            and state in (None, row.state)
            and session_id in (None, row.session_id)
            and user_id in (None, row.user_id)
            and (after is None or (row.created_at, row.run_id) < after)
        }
        return self._page(found, sorted(found, reverse=True), limit)

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
        found = {
            Place(row.waits.opened_at, row.waits.checkpoint_id): row
            for row in self.rows.values()
            if row.waits is not None
            and row.tenant == tenant
            and step in (None, row.waits.step)
            and assignee is None
            and group is None
            and session_id in (None, row.session_id)
            and (after is None or (row.waits.opened_at, row.waits.checkpoint_id) > after)
        }
        return self._page(found, sorted(found), limit)

    def _answer(self) -> None:
        if self.away:
            raise Away("gone")

    def _reached(self, run_id: UUID) -> int:
        return self.rows[run_id].version if run_id in self.rows else 0

    def _history(self, run_id: UUID) -> list[bytes]:
        return [value for _, value in sorted(self.record.get(run_id, {}).items())]

    def _page(self, found: dict[Place, Standing], order: list[Place], limit: int) -> Page:
        shown = order[:limit]
        folded = [fold(self._history(found[place].run_id)[: found[place].version]) for place in shown]
        return Page([run_of(view).view for view in folded if view], shown[-1] if len(order) > limit else None)
