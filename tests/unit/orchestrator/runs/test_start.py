"""The start of a run: it is prepared at once, and started only once."""

from __future__ import annotations

from datetime import timedelta
from typing import get_args
from uuid import UUID

from contracts.providers.call import Checked, Execution, Failure, Preparation
from contracts.providers.orders import PrepareOrder
from contracts.runs import commands as c
from contracts.runs import events as e
from testkit.runs.commands import start
from testkit.runs.specification import MORNING, RUN_ID, Ask, Story, given, like

PREPARATION = Preparation(provider="sandbox", model=None, operation="text", payload={}, payload_schema={})
EXECUTION = Execution(response={})


def test_a_start_is_recorded_with_the_first_preparation() -> None:
    """One event holds the request and the first order, so that no run begins without it."""
    lease_until = MORNING + timedelta(seconds=30)
    outcome = Story().when(start({"prompt": "hello"}, lease_seconds=30))
    outcome.then(like(e.RunStarted, request__prompt="hello", work_id=f"{RUN_ID}.1", lease_until=lease_until))
    outcome.leaves(state="created", version=1, pending_actions=(), checkpoint=None, user_id="u1", session_id="s1")


def test_the_view_shows_what_was_asked_for_before_anything_is_prepared() -> None:
    """Provider, model, operation, callback and labels are there from the first version on."""
    request = {
        "provider": "openai",
        "model": "gpt-5-mini",
        "operation": "text",
        "callback_url": "https://example.com/called",
        "labels": {"team": "ads"},
    }
    Story().when(start(request)).leaves(**request, created_at=MORNING, updated_at=MORNING, paused=False, result=None)


def test_a_start_orders_the_preparation_of_what_was_asked_for() -> None:
    """The order carries the intent, the tool, the session and the end of the lease."""
    tool = {"name": "flux", "description": "draws"}
    request = {"provider": "replicate", "model": "flux", "parameters": {"steps": 4}, "tool": tool}
    (order,) = given(start(request)).orders()
    assert isinstance(order, PrepareOrder)
    assert (order.intent.provider, order.intent.model, order.intent.parameters) == ("replicate", "flux", {"steps": 4})
    assert (order.tool, order.session_id, order.attempt) == (tool, "s1", 1)
    assert order.deadline == MORNING + timedelta(seconds=order.lease_seconds)


def test_capabilities_are_asked_for_only_where_a_person_may_see_them() -> None:
    """A run without an information review does not make the worker describe the provider."""
    (shown,) = given(start()).orders()
    (not_shown,) = given(start(allowed_steps=("payload_review",))).orders()
    assert isinstance(shown, PrepareOrder)
    assert isinstance(not_shown, PrepareOrder)
    assert (shown.with_capabilities, not_shown.with_capabilities) == (True, False)


def test_a_run_is_started_only_once() -> None:
    """A run's id names one run for ever, also for an equal request."""
    given(start()).when(start()).refused_with("run_already_exists")


def test_a_start_that_comes_again_changes_nothing() -> None:
    """The same command, delivered twice, takes effect once."""
    same = start().but(command_id=UUID(int=1), request_sha256="a" * 64)
    at_payload = given(same)
    at_payload.when(same).then()


def test_a_start_under_a_used_key_with_another_body_is_refused() -> None:
    """An Idempotency-Key stands for one body."""
    first = start().but(command_id=UUID(int=1), request_sha256="a" * 64)
    given(first).when(first.but(request_sha256="b" * 64)).refused_with("idempotency_key_reused")


def test_everything_but_a_start_needs_a_run() -> None:
    """A run that was never started is not found."""
    about = {"work_id": "w", "attempt": 1, "checkpoint_id": UUID(int=1), "edits": {}}
    facts = {
        "preparation": PREPARATION,
        "checked": Checked(),
        "execution": EXECUTION,
        "provider_call_id": "p1",
        "ending": "stopped",
        "failure": Failure(code="x", message="y"),
        "user": "bo",
        "text": "t",
        "comment_id": UUID(int=2),
        "what": "due_at",
        "epoch": 0,
    }
    for kind in get_args(c.Decide | c.Control | c.OnTask | c.OnComment | c.FromWorker | c.FromClock):
        Story().when(Ask(kind, lambda _: about | facts)).refused_with("run_not_found")
