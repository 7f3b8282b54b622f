"""A read model in memory: the same promises as the tables in PostgreSQL, and outages at will."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar
from uuid import UUID

from contracts.runs.event_header import EventHeader
from contracts.runs.tasks.readers import Reader
from contracts.runs.views import TERMINAL, RenderedView, render
from gateway.errors import DatabaseUnavailable, ValuesRefused
from gateway.ports import History, Page, Place, StepEvent, WaitingPage, WaitingPlace
from gateway.projection.pages import fitting
from gateway.projection.rows import ApprovalRow, Changes, LoadedRun, RunRow, loaded_at
from gateway.projection.view import fold
from gateway.projection.waiting_list import EVERYTHING, MOST_COUNTED, OLDEST_FIRST, WaitingFilters, WaitingOrder
from gateway.testing.waiting import meets, place_of, sort_key

_Place = TypeVar("_Place", Place, WaitingPlace)


class MemoryTables:
    """Both sides of a read model, and the ledger under it. `refuses` says which rows the store cannot hold."""

    def __init__(self, refuses: Callable[[RunRow], bool] = lambda _: False) -> None:
        self._refuses = refuses
        self.unavailable = False
        self.ledger: dict[UUID, dict[int, bytes]] = {}
        self.rows: dict[UUID, RunRow] = {}
        self.approvals: dict[tuple[UUID, int], ApprovalRow] = {}
        self.words: dict[UUID, tuple[str, ...]] = {}

    def append(self, value: bytes) -> None:
        """Append an event to the ledger, as the orchestrator does before it publishes it."""
        header = EventHeader.parse(value)
        self.ledger.setdefault(header.run_uuid, {}).setdefault(header.version, value)

    async def load(self, run_ids: Iterable[UUID]) -> dict[UUID, LoadedRun]:
        """Return these runs, each with its whole history behind its row."""
        self._answer()
        return {
            run_id: loaded_at(self._reached(run_id), map(EventHeader.parse_with_facts, self._history(run_id)))
            for run_id in run_ids
        }

    async def write(self, changes: Changes) -> set[UUID]:
        """Write a batch; return the runs whose stored row is not the one the change was folded on."""
        self._answer()
        if any(self._refuses(moved.row) for moved in changes.moved.values()):
            raise ValuesRefused("a row that this store cannot hold")
        other = {
            run_id
            for run_id, moved in changes.moved.items()
            if self._reached(run_id) != (moved.found.version if moved.found else 0)
        }
        self.rows |= {run_id: moved.row for run_id, moved in changes.moved.items() if run_id not in other}
        for run_id, moved in changes.moved.items():
            if run_id not in other and moved.words is not None:
                self.words[run_id] = moved.words
        for approval in changes.approvals:
            self.approvals.setdefault((approval.run_id, approval.version), approval)
        return other

    async def run(self, tenant: str, run_id: UUID) -> RenderedView | None:
        """Return one run, or None."""
        self._answer()
        row = self.rows.get(run_id)
        if row is None or row.tenant != tenant:
            return None
        view = fold(self._history(run_id)[: row.version])
        return render(view) if view else None

    async def may_read(self, tenant: str, run_id: UUID, reader: Reader) -> bool:
        """Return whether a reader may read a run; False where there is none."""
        self._answer()
        row = self.rows.get(run_id)
        return row is not None and row.tenant == tenant and reader.may_read(row.readers, row.requester)

    async def history(self, tenant: str, run_id: UUID, after: int, limit: int) -> History:
        """Return events of a run behind `after`, as far as its row has come."""
        self._answer()
        row = self.rows.get(run_id)
        if row is None or row.tenant != tenant:
            return History([], more=False)
        parsed = [(EventHeader.parse(value), value) for value in self._history(run_id)]
        found = [StepEvent(header.version, header.kind, value) for header, value in parsed]
        behind = [event for event in found if after < event.version <= row.version]
        shown = behind[: fitting([event.json for event in behind[:limit]])]
        return History(shown, len(shown) < len(behind))

    async def runs(
        self,
        tenant: str,
        limit: int,
        after: Place | None = None,
        *,
        state: str | None = None,
        session_id: str | None = None,
        user_id: str | None = None,
        is_open: bool = False,
        reader: Reader | None = None,
    ) -> Page:
        """Return a page of runs, newest first; with `is_open`, of those that are not over."""
        self._answer()
        found = {
            Place(row.created_at, row.run_id): row
            for row in self.rows.values()
            if row.tenant == tenant
            and state in (None, row.state)
            and not (is_open and row.state in TERMINAL)
            and session_id in (None, row.session_id)
            and user_id in (None, row.user_id)
            and (reader is None or reader.may_read(row.readers, row.requester))
            and (after is None or (row.created_at, row.run_id) < (after.at, after.id))
        }
        return Page(*self._page(found, sorted(found, reverse=True), limit))

    async def pending(
        self,
        tenant: str,
        limit: int,
        after: WaitingPlace | None = None,
        filters: WaitingFilters = EVERYTHING,
        order: WaitingOrder = OLDEST_FIRST,
        reader: Reader | None = None,
    ) -> WaitingPage:
        """Return a page of the runs with an open checkpoint, and how many there are."""
        self._answer()
        found = {
            place_of(row.pending, order): row
            for row in self.rows.values()
            if row.pending is not None
            and row.tenant == tenant
            and (reader is None or reader.may_read(row.readers, row.requester))
            and meets(filters, row, row.pending, self.words.get(row.run_id, ()))
        }
        places = sorted(found, key=sort_key, reverse=order.is_reversed)
        if after is not None:
            key = sort_key(after)
            places = [
                place for place in places if (sort_key(place) < key if order.is_reversed else sort_key(place) > key)
            ]
        views, end = self._page(found, places, limit)
        return WaitingPage(views, end, min(len(found), MOST_COUNTED))

    async def close(self) -> None:
        """Disconnect from nothing."""

    def _answer(self) -> None:
        if self.unavailable:
            raise DatabaseUnavailable("gone")

    def _reached(self, run_id: UUID) -> int:
        return self.rows[run_id].version if run_id in self.rows else 0

    def _history(self, run_id: UUID) -> list[bytes]:
        return [value for _, value in sorted(self.ledger.get(run_id, {}).items())]

    def _page(
        self, found: Mapping[_Place, RunRow], order: list[_Place], limit: int
    ) -> tuple[list[bytes], _Place | None]:
        shown = order[:limit]
        folded = [fold(self._history(found[place].run_id)[: found[place].version]) for place in shown]
        views = [render(view).json if view else b"" for view in folded]
        shown_views = views[: fitting(views)]
        end = shown[len(shown_views) - 1] if len(shown_views) < len(order) else None
        return [view for view in shown_views if view], end
