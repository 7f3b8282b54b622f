"""The gateway's port: the same answers in memory and over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from chassis.http.connections import HEAD_SECONDS
from notifier.adapters.gateway import KEPT_SECONDS, HttpGateway
from notifier.errors import GatewayUnavailable
from notifier.ports import MAX_RUNS, Gateway
from notifier.testing.gateway import MemoryGateway
from testkit.runs.commands import approve, at_payload_review, completed, executed
from testkit.runs.pushed_events import values_of

WAITING = at_payload_review()
CALLING = WAITING.given(approve())
FINISHED = WAITING.given(approve(), executed(), approve())
ALL = {"run_id": None, "session_id": None, "user_id": None}


@pytest.fixture
def memory() -> MemoryGateway:
    """Give the runs."""
    return MemoryGateway()


@pytest_asyncio.fixture(params=["memory", "http"])
async def gateway(request: pytest.FixtureRequest, memory: MemoryGateway) -> AsyncIterator[Gateway]:
    """Give the port, over either adapter."""
    port: Gateway = memory if request.param == "memory" else over(memory.app())
    yield port
    await port.close()


def over(app: Starlette) -> HttpGateway:
    """Return the HTTP adapter on an application in this process."""
    return HttpGateway("http://gateway", httpx.ASGITransport(app))


async def test_a_snapshot_shows_open_runs_and_those_that_wait(gateway: Gateway, memory: MemoryGateway) -> None:
    """Runs that are over are left out; a run that waits is an approval, and nothing else."""
    waiting, calling = uuid4(), uuid4()
    memory.learn(*values_of(WAITING, waiting), *values_of(CALLING, calling), *values_of(FINISHED))
    snapshot = await gateway.snapshot(**ALL)
    assert [view["run_id"] for view in snapshot.runs] == [str(calling)]
    assert [view["run_id"] for view in snapshot.approvals] == [str(waiting)]
    assert snapshot.versions == {str(waiting): len(WAITING.history), str(calling): len(CALLING.history)}
    assert not snapshot.truncated


async def test_every_filter_must_match(gateway: Gateway, memory: MemoryGateway) -> None:
    """By session, by user, by both; also for a run that is named by its id."""
    run = uuid4()
    memory.learn(*values_of(WAITING, run, session_id="s1", user_id="ann"), *values_of(WAITING, session_id="s1"))
    for run_id in (None, str(run)):
        shown = await gateway.snapshot(run_id=run_id, session_id="s1", user_id="ann")
        assert list(shown.versions) == [str(run)]
        assert (await gateway.snapshot(run_id=run_id, session_id="s1", user_id="bob")).versions == {}


async def test_a_run_that_is_named_is_shown_though_it_is_over(gateway: Gateway, memory: MemoryGateway) -> None:
    """And no run is shown where there is none of the name."""
    run = uuid4()
    memory.learn(*values_of(completed(), run))
    assert (await gateway.snapshot(run_id=str(run), session_id=None, user_id=None)).runs[0]["state"] == "completed"
    assert (await gateway.snapshot(run_id=str(uuid4()), session_id=None, user_id=None)).runs == ()


async def test_a_long_snapshot_is_truncated(gateway: Gateway, memory: MemoryGateway) -> None:
    """It shows a bounded number of runs and says that there are more."""
    memory.learn(*(value for _ in range(MAX_RUNS + 1) for value in values_of(WAITING)))
    snapshot = await gateway.snapshot(**ALL)
    assert (len(snapshot.approvals), snapshot.truncated) == (MAX_RUNS, True)


async def test_a_snapshot_goes_through_all_pages(gateway: Gateway, memory: MemoryGateway) -> None:
    """A page ends where its bytes do, long before its limit."""
    memory.page = 3
    memory.learn(*(value for _ in range(10) for value in values_of(WAITING)))
    snapshot = await gateway.snapshot(**ALL)
    assert (len(snapshot.versions), snapshot.truncated) == (10, False)


@pytest.mark.parametrize("lost", [httpx.RemoteProtocolError, httpx.ReadError])
async def test_a_question_that_was_lost_with_its_connection_is_asked_once_more(
    lost: type[httpx.TransportError],
) -> None:
    """A kept connection may end in the moment in which it is used; a second loss is an outage."""
    losses = [1, 0, 2, 1, 0]

    def answer(_: httpx.Request) -> httpx.Response:
        if losses.pop(0):
            raise lost("gone")
        return httpx.Response(200, json={"items": [], "next_cursor": None})

    gateway = HttpGateway("http://gateway", httpx.MockTransport(answer))
    assert (await gateway.snapshot(**ALL)).versions == {}
    with pytest.raises(GatewayUnavailable, match="gone"):
        await gateway.snapshot(**ALL)
    await gateway.close()


def test_our_side_of_a_kept_connection_ends_first() -> None:
    """Then no question meets a connection that the other side is closing."""
    assert KEPT_SECONDS < HEAD_SECONDS / 2


async def test_a_history_is_every_event_in_order(gateway: Gateway, memory: MemoryGateway) -> None:
    """None where there is no such run."""
    run = uuid4()
    values = values_of(FINISHED, run)
    memory.learn(*values)
    history = await gateway.history("default", str(run))
    assert history is not None
    assert list(map(json.loads, history)) == list(map(json.loads, values))
    assert await gateway.history("default", str(uuid4())) is None


async def test_a_gateway_that_fails_is_unavailable(gateway: Gateway, memory: MemoryGateway) -> None:
    """For every question, and for its health."""
    await gateway.check()
    memory.unavailable = True
    for answer in (gateway.snapshot(**ALL), gateway.history("default", str(uuid4())), gateway.check()):
        with pytest.raises(GatewayUnavailable):
            await answer


async def test_a_gateway_that_lives_and_reads_nothing_is_unavailable() -> None:
    """Its health is asked by what is needed of it, and the reason is the gateway's own."""

    def answer(request: Request) -> JSONResponse:
        lives = request.url.path.startswith("/health")
        said = {"status": "live"} if lives else {"detail": "the database does not answer"}
        return JSONResponse(said, 200 if lives else 503)

    gateway = over(Starlette(routes=[Route("/{path:path}", answer)]))
    with pytest.raises(GatewayUnavailable, match="answered 503: the database does not answer"):
        await gateway.check()
    await gateway.close()


@pytest.mark.parametrize("body", ["not JSON", "[]", "{}", '{"items"'])
async def test_an_answer_in_another_form_is_unavailable(body: str) -> None:
    """Another server may answer at the gateway's address."""
    gateway = over(Starlette(routes=[Route("/{path:path}", lambda _: PlainTextResponse(body))]))
    for answer in (gateway.snapshot(**ALL), gateway.history("default", str(uuid4()))):
        with pytest.raises(GatewayUnavailable):
            await answer
    await gateway.close()


async def test_an_address_without_a_server_is_unavailable() -> None:
    """The error names the path."""

    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    gateway = HttpGateway("http://gateway", httpx.MockTransport(refuse))
    with pytest.raises(GatewayUnavailable, match="/hitl/runs: refused"):
        await gateway.check()
    await gateway.close()
