"""Reading runs, their histories and what waits for a person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel

from contracts.runs.run_event import RunEvent
from contracts.runs.views import RunView
from gateway.http import headers
from gateway.http.cursors import write_cursor
from gateway.http.fast_path import Endpoint
from gateway.http.parameters import ApprovalFilters, AtVersion, HistoryRange, RunFilters
from gateway.http.problem_schemas import problems
from gateway.http.problems import unavailable
from gateway.ports import Page, Run, Views
from gateway.read_model.follower import Following

RUN_PATH = "/hitl/runs/{run_id}"


class RunPage(BaseModel):
    """Runs, and the cursor of the next page if there is one."""

    items: list[RunView]
    next_cursor: str | None


class History(BaseModel):
    """Events in order, and the version to go on after if there are more."""

    items: list[RunEvent]
    next_after: int | None


def reading(views: Views, following: Following, wait_seconds: float) -> APIRouter:
    """Return the routes that read."""
    router, read = APIRouter(), run_reader(following, wait_seconds)

    @router.get(
        RUN_PATH,
        tags=["runs"],
        summary="Read a run",
        response_model=RunView,
        responses=problems("run_not_found", "validation_failed", "unavailable"),
    )
    async def read_run(run_id: str, at: Annotated[AtVersion, Query()]) -> Response:
        """Return the run's view. With `min_version` the answer waits until the read model has come that far, or is 503."""
        return await read(run_id, at.min_version or 0)

    @router.get(
        "/hitl/runs",
        tags=["runs"],
        summary="List runs",
        response_model=RunPage,
        responses=problems("validation_failed", "unavailable"),
    )
    async def list_runs(filters: Annotated[RunFilters, Query()]) -> Response:
        """Return runs, newest first."""
        return _page(
            await views.runs(
                headers.TENANT,
                filters.limit,
                filters.place(),
                state=filters.state,
                session_id=filters.session_id,
                user_id=filters.user_id,
            )
        )

    @router.get(
        "/hitl/runs/{run_id}/history",
        tags=["runs"],
        summary="Read all that happened to a run",
        response_model=History,
        responses=problems("run_not_found", "validation_failed", "unavailable"),
    )
    async def read_history(request: Request, run_id: str, part: Annotated[HistoryRange, Query()]) -> Response:
        """Return every event in order, with the members that `run.events` has. A long history is read on with `after`."""
        found_id = headers.run_id_of(request)
        await following.settle(headers.TENANT, found_id)
        events = await views.history(headers.TENANT, found_id, part.after, part.limit + 1)
        if not events and await views.run(headers.TENANT, found_id) is None:
            raise headers.run_not_found(run_id)
        shown = events[: part.limit]
        more = str(shown[-1].version) if len(events) > part.limit else "null"
        return _json(b'{"items":[%s],"next_after":%s}' % (_joined(e.record for e in shown), more.encode()))

    @router.get(
        "/hitl/approvals",
        tags=["approvals"],
        summary="List what waits for a person",
        response_model=RunPage,
        responses=problems("validation_failed", "unavailable"),
    )
    async def list_approvals(filters: Annotated[ApprovalFilters, Query()]) -> Response:
        """Return runs with a checkpoint that waits for a decision, the longest waiting first. Each item is the run's view."""
        return _page(
            await views.pending(
                headers.TENANT,
                filters.limit,
                filters.place(),
                step=filters.step,
                assignee=filters.assignee,
                group=filters.group,
                session_id=filters.session_id,
            )
        )

    return router


def reading_at_once(following: Following, wait_seconds: float) -> dict[tuple[str, str], Endpoint]:
    """Return the endpoint that reads one run, for requests whose query is known to be valid."""
    read = run_reader(following, wait_seconds)

    async def read_run(request: Request) -> Response:
        return await read(request.path_params["run_id"], int(request.query_params.get("min_version", 0)))

    return {("GET", RUN_PATH): read_run}


def run_reader(following: Following, wait_seconds: float) -> Callable[[str, int], Awaitable[Response]]:
    """Return what reads a run as it is, or with a version above 0, once it has come so far."""

    async def read(named: str, version: int) -> Response:
        run_id = headers.run_id_named(named)
        if version:
            run = await following.reached(headers.TENANT, run_id, version, wait_seconds)
        else:
            run = await following.settled(headers.TENANT, run_id)
        if run is None:
            raise headers.run_not_found(named)
        if run.version < version:
            behind = f"the read model has reached version {run.version} of this run, not {version}"
            raise unavailable(behind, version=run.version)
        return _json(run.view, run)

    return read


def _page(page: Page) -> Response:
    cursor = write_cursor(page.end)
    end = b"null" if cursor is None else b'"%s"' % cursor.encode()
    return _json(b'{"items":[%s],"next_cursor":%s}' % (_joined(page.views), end))


def _joined(texts: Iterable[bytes]) -> bytes:
    return b",".join(texts)


def _json(body: bytes, run: Run | None = None) -> Response:
    return Response(body, headers={"ETag": f'"{run.version}"'} if run else None, media_type="application/json")
