"""Reads: a run, lists of runs, histories, and the checkpoints that wait for a person."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field
from pydantic_core import to_json

from contracts.runs.run_event import RunEvent
from contracts.runs.views import RenderedView, RunView
from gateway.http import headers
from gateway.http.caller import Caller, caller_of
from gateway.http.cursors import write_cursor
from gateway.http.parameters import ApprovalFilters, AtVersion, HistoryRange, RunFilters, read_parameters
from gateway.http.problem_schemas import problems
from gateway.http.problems import Problem, unavailable
from gateway.ports import Now, StepEvent, Views
from gateway.projection.waiting_list import MOST_COUNTED
from gateway.read_model.follower import Follower

_PART = 1000
"""Events that are read of a history at a time."""


class RunPage(BaseModel):
    """Runs, and the cursor of the next page if there is one."""

    items: list[RunView]
    next_cursor: str | None


class WaitingRuns(RunPage):
    """Runs with a checkpoint that waits."""

    total: int = Field(
        description=f"How many the list has on all its pages. It counts to {MOST_COUNTED}: so many, or more."
    )


class History(BaseModel):
    """Events in order, and the version to go on after if there are more."""

    items: list[RunEvent]
    next_after: int | None


class RunReads:
    """The endpoints that read."""

    def __init__(self, views: Views, follower: Follower, wait_seconds: float, now: Now) -> None:
        self._views = views
        self._follower = follower
        self._wait_seconds = wait_seconds
        self._now = now

    async def read_run(self, request: Request) -> Response:
        """Return the run's view. With `min_version` the answer waits until the read model has come that far, or is 503."""
        version = read_parameters(AtVersion, request).min_version or 0
        caller, run_id = caller_of(request), headers.run_id_of(request)
        if version:
            run = await self._follower.reached(caller.tenant, run_id, version, self._wait_seconds)
        else:
            run = await self._follower.settled(caller.tenant, run_id)
        run = await readable(self._views, run, run_id, caller)
        if run.version < version:
            behind = f"the read model has reached version {run.version} of this run, not {version}"
            raise unavailable(behind, version=run.version)
        return Response(run.json, headers={"ETag": f'"{run.version}"'}, media_type="application/json")

    async def list_runs(self, request: Request, filters: Annotated[RunFilters, Query()]) -> Response:
        """Return runs, newest first."""
        caller = caller_of(request)
        page = await self._views.runs(
            caller.tenant,
            filters.limit,
            filters.place(caller.tenant),
            state=filters.state,
            session_id=filters.session_id,
            user_id=filters.user_id,
            is_open=filters.open,
            reader=caller.reader,
        )
        cursor = to_json(write_cursor(page.end, caller.tenant))
        return _json(b'{"items":[%s],"next_cursor":%s}' % (_joined(page.views), cursor))

    async def read_history(
        self,
        request: Request,
        run_id: str,  # noqa: ARG002 - the document names it
        part: Annotated[HistoryRange, Query()],
    ) -> Response:
        """Return every event in order, with the members that `run.events` has. A long history is read on with `after`."""
        caller, found_id = caller_of(request), headers.run_id_of(request)
        await self._follower.settle(caller.tenant, found_id)
        events, is_more = await self._views.history(caller.tenant, found_id, part.after, part.limit)
        if events:
            await require_readable(self._views, found_id, caller)
        else:
            await readable(self._views, await self._views.run(caller.tenant, found_id), found_id, caller)
        more = str(events[-1].version) if is_more else "null"
        return _json(b'{"items":[%s],"next_after":%s}' % (_joined(e.json for e in events), more.encode()))

    async def check(self, caller: Caller, run_id: UUID) -> None:
        """Return if the caller may read a run. Raises Problem."""
        run = await self._follower.settled(caller.tenant, run_id)
        await readable(self._views, run, run_id, caller)

    async def has_reached(self, caller: Caller, run_id: UUID, version: int) -> bool:
        """Return whether the read model has reached a version of a run within the time that a request waits."""
        run = await self._follower.reached(caller.tenant, run_id, version, self._wait_seconds)
        return run is not None and run.version >= version

    async def events_of(self, caller: Caller, run_id: UUID, kinds: Collection[str]) -> list[StepEvent]:
        """Return the events of these kinds of a run that the caller may read. Raises Problem."""
        await self.check(caller, run_id)
        found, after, more = list[StepEvent](), 0, True
        while more:
            part, more = await self._views.history(caller.tenant, run_id, after, _PART)
            found += [event for event in part if event.kind in kinds]
            after = part[-1].version if part else 0
        return found

    async def list_approvals(self, request: Request, filters: Annotated[ApprovalFilters, Query()]) -> Response:
        """Return runs with a checkpoint that waits for a decision, the longest waiting first. Each item is the run's view.

        Following `next_cursor` shows what waits all the time once, whatever comes and goes meanwhile.
        """
        caller = caller_of(request)
        page = await self._views.pending(
            caller.tenant,
            filters.limit,
            filters.place(caller.tenant),
            filters.filters(caller.principal, self._now()),
            filters.list_order(),
            caller.reader,
        )
        cursor = filters.cursor_of(caller.tenant, page.end)
        return _json(b'{"items":[%s],"next_cursor":%s,"total":%d}' % (_joined(page.views), to_json(cursor), page.total))


async def readable(views: Views, run: RenderedView | None, run_id: UUID, caller: Caller) -> RenderedView:
    """Return a run that the caller may read. Raises Problem: there is none, or it is not the caller's to read."""
    if run is None:
        raise headers.run_not_found(run_id)
    await require_readable(views, run_id, caller)
    return run


async def require_readable(views: Views, run_id: UUID, caller: Caller) -> None:
    """Raise Problem if the caller may not read a run of its tenant. Lists ask the same of each run (`contracts.runs.tasks.readers`)."""
    reader = caller.reader
    if reader is not None and not await views.may_read(caller.tenant, run_id, reader):
        raise Problem("forbidden", f"{caller.subject} neither started {run_id} nor is or was asked to decide at it")


def runs_router(reads: RunReads) -> APIRouter:
    """Return the routes that read, but for `read_run`, which is a hot route."""
    router = APIRouter()
    router.add_api_route(
        "/hitl/runs",
        reads.list_runs,
        tags=["runs"],
        summary="List runs",
        response_model=RunPage,
        responses=problems("validation_failed", "unavailable"),
    )
    router.add_api_route(
        "/hitl/runs/{run_id}/history",
        reads.read_history,
        tags=["runs"],
        summary="Read all that happened to a run",
        response_model=History,
        responses=problems("run_not_found", "validation_failed", "unavailable"),
    )
    router.add_api_route(
        "/hitl/approvals",
        reads.list_approvals,
        tags=["approvals"],
        summary="List what waits for a person",
        response_model=WaitingRuns,
        responses=problems("validation_failed", "unavailable"),
    )
    return router


def _joined(texts: Iterable[bytes]) -> bytes:
    return b",".join(texts)


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
