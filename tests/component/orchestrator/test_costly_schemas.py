"""A caller's schema that multiplies work holds no other up: the edit under it is refused, and the batch around it is decided."""

from __future__ import annotations

import resource
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.providers.call import Execution
from contracts.runs import commands as c
from contracts.runs.outcomes import Refused
from testkit.runs.command_records import Log, executed, prepared, start

from .conftest import MakeOwner, Owner

ONE_REVIEW = {"allowed_steps": ["response_review"]}


def multiplied() -> dict[str, Any]:
    """Return 600 bytes of schema that are a million alternatives."""
    defs: dict[str, Any] = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 10} for n in range(6)}
    leaf = {"type": "object", "properties": {"kind": {"const": "x"}}, "required": ["kind"]}
    return {"properties": {"json": {"$id": "urn:sayso:asked", "$defs": {**defs, "d6": leaf}, "$ref": "#/$defs/d0"}}}


def answered(run_id: UUID) -> c.RecordExecution:
    """Answer the run's call with a value under the costly schema."""
    execution = Execution(response={"json": {"kind": "x"}}, response_schema=multiplied())
    return executed(run_id, 3).changed({"execution": execution})


def edit(run_id: UUID) -> c.EditCheckpoint:
    """Change the answer into one that does not fit."""
    about = start(run_id).model_dump(include={"run_id", "at"})
    return c.EditCheckpoint(**about, command_id=uuid4(), actor="ann", reply_to=0, edits={"json": {"kind": "y"}})


async def at_the_review(owner: Owner, log: Log) -> UUID:
    """Bring a run to the review of its answer."""
    run_id = uuid4()
    sent = await owner.take(log.write(start(run_id, hitl=ONE_REVIEW), prepared(run_id), answered(run_id)))
    assert sent.kinds(run_id)[-1] == "checkpoint-opened.v1"
    return run_id


@pytest.mark.timeout(20)
async def test_an_edit_under_a_costly_schema_holds_up_no_other_run(make_owner: MakeOwner) -> None:
    """It was a minute for every other run, and 800 MiB; the next owner repeats the refusal and not the work."""
    log, owner = Log(), make_owner()
    run_id, other = await at_the_review(owner, log), uuid4()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    batch = log.write(*(edit(run_id) for _ in range(10)), start(other))
    sent = await owner.take(batch)
    assert sent.kinds(other) == ["run-started.v1"]
    assert sent.kinds(run_id) == []
    refusals = sent.outcomes()
    assert [
        (refusal.code, refusal.details["issues"][0]["code"]) for refusal in refusals if isinstance(refusal, Refused)
    ] == [("validation_failed", "schema_too_costly")] * 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024, "KiB that were kept"
    assert (await make_owner().take(batch)).outcomes() == refusals


async def test_a_run_under_a_costly_schema_is_approved_all_the_same(owner: Owner) -> None:
    """Only what would have to be checked is refused: the person approves or rejects what is there."""
    log = Log()
    run_id = await at_the_review(owner, log)
    about = edit(run_id).model_dump(include={"run_id", "at", "command_id", "actor"})
    assert (await owner.take(log.write(c.ApproveCheckpoint(**about)))).kinds()[-1] == "run-completed.v1"
