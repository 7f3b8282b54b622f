"""`make chaos`: every fault, one after the other, on Apache Kafka and PostgreSQL. The counts go into RESULTS.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.experiment import run_fault
from chaos.faults import Fault
from chaos.faults.groups import GROUPS
from chaos.faults.services import whole_stack
from chaos.results import Note
from chaos.system.stage import Stage, embedded_stage

pytestmark = pytest.mark.timeout(300)

EVERY = [pytest.param(name, fault, id=f"{name} - {fault.name}") for name, faults in GROUPS.items() for fault in faults]


@pytest.mark.parametrize(("group", "fault"), EVERY, indirect=["group"])
async def test_nothing_is_lost_and_nothing_happens_twice(group: Stage, fault: Fault, note: Note) -> None:
    """No run breaks a law, under load and through every fault."""
    count = await run_fault(fault, group)
    note(fault, count)
    assert not count.broken


async def test_the_embedded_stack_goes_on_after_all_of_it_was_killed_at_once(tmp_path: Path, note: Note) -> None:
    """The broker's log is lost; every accepted run goes on, and the read model equals one rebuilt from the new log."""
    async with embedded_stage(tmp_path) as (stage, broker):
        fault = whole_stack.killed_at_once(broker)
        count = await run_fault(fault, stage)
    note(fault, count)
    assert not count.broken
