"""The bare hops carry what the product carries: otherwise the two would not stand beside each other."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic_core import to_json

from bench.bare.decider import Commit, Decider, new_id
from bench.bare.steps import Step
from bench.bare.template import make_steps
from contracts.providers.orders import parse_order
from contracts.runs.events import CheckpointOpened, RunCompleted
from contracts.runs.outcomes import Accepted, parse_outcome
from contracts.runs.run_event import RunEvent

NOW = "2026-03-02T09:00:00.123456Z"


@pytest.fixture(scope="module")
async def steps() -> list[Step]:
    """Give the course of a run as the product's core takes it."""
    return await make_steps()


def decided(steps: list[Step]) -> list[Commit]:
    """Take one run through all its steps, approving what is shown."""
    decider, run_id = Decider(steps), new_id()
    checkpoint, decisions = dict[str, str](), list[Commit]()
    for step in steps:
        is_approval = "checkpoint_id" in step.command
        command = {**step.command, "run_id": run_id, **(checkpoint if is_approval else {})}
        decisions.append(decider.decide(command, NOW))
        for event in events_of(decisions[-1]):
            if isinstance(event.data, CheckpointOpened):
                checkpoint = {"checkpoint_id": str(event.data.checkpoint_id)}
    return decisions


def events_of(decision: Commit) -> list[RunEvent]:
    """Read a decision's events as the product does."""
    return [RunEvent.parse(value) for _, value in decision.events]


def test_a_bare_run_is_the_history_that_the_product_would_write(steps: list[Step]) -> None:
    """Nine events without a gap, each read by the product's contract, of the product's kinds, headers and nearly its sizes."""
    decisions = decided(steps)
    events = [event for decision in decisions for event in events_of(decision)]
    assert [event.version for event in events] == list(range(1, 10))
    assert [decision.version for decision in decisions] == [1, 2, 4, 6, 8]
    assert isinstance(events[-1].data, RunCompleted)
    assert {event.at for event in events} == {datetime.fromisoformat(NOW).astimezone(UTC)}
    templates = [event for step in steps for event in step.events]
    records = [record for decision in decisions for record in decision.events]
    for event, template, (headers, value) in zip(events, templates, records, strict=True):
        assert event.kind == template["kind"]
        assert list(headers) == event.headers()
        assert abs(len(value) - len(to_json(template))) < 64


def test_bare_orders_and_outcomes_are_read_by_the_products_contract(steps: list[Step]) -> None:
    """Two orders with work ids of their own run, and the three answers say where the run stood."""
    decisions = decided(steps)
    orders = [parse_order(decision.order) for decision in decisions if decision.order]
    outcomes = [parse_outcome(decision.outcome) for decision in decisions if decision.outcome]
    assert [order.work_id for order in orders] == [f"{decisions[0].run_id}.{version}" for version in (1, 5)]
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    views = [outcome.view for outcome in outcomes if isinstance(outcome, Accepted)]
    assert [(view.state, view.version) for view in views] == [("created", 1), ("api_call", 5), ("completed", 9)]


def test_a_bare_run_takes_no_command_out_of_turn(steps: list[Step]) -> None:
    """What would be a lost or doubled record ends the process, and does not pass for a fast run."""
    decider = Decider(steps)
    decider.decide(steps[0].command, NOW)
    with pytest.raises(AssertionError, match="start-run"):
        decider.decide(steps[0].command, NOW)
    decider.decide(steps[1].command, NOW)
    with pytest.raises(AssertionError, match="another checkpoint"):
        decider.decide(steps[2].command, NOW)
