"""Batches of commands in, decisions out: events, orders and answers, and what is refused stops no partition."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from contracts.runs.commands import ClaimTask, EscalateTask, ExpireCheckpoint, ExpireLease
from contracts.runs.config import Step
from contracts.runs.events import CheckpointOpened, RetryScheduled
from contracts.runs.outcomes import Accepted
from contracts.runs.tasks.rules import Candidates
from contracts.topics import EVENTS, MAX_EVENT_BYTES, OUTCOMES
from testkit.postgres.unreliable import dump
from testkit.runs.command_records import Log, approve, cancel, executed, failed, prepared, start

from .conftest import MakeOwner, Owner


async def test_a_run_goes_from_start_to_result(owner: Owner, ledger_url: str) -> None:
    """Commands become events, orders and answers, each with the key of its run, and the ledger holds the bytes published."""
    log, run_id = Log(), uuid4()
    begun = await owner.take(log.write(start(run_id, reply_to=2)))
    assert begun.kinds() == ["run-started.v1"]
    assert [order.kind for order in begun.orders()] == ["prepare.v1"]
    (outcome,) = begun.on(OUTCOMES.name)
    assert outcome.partition == 2
    asked = await owner.take(log.write(prepared(run_id)))
    assert asked.kinds() == ["run-prepared.v1", "checkpoint-opened.v1"]
    assert len(asked.orders()) == len(asked.outcomes()) == 0
    approved = await owner.take(log.write(approve(run_id)))
    assert approved.kinds() == ["checkpoint-approved.v1", "call-ordered.v1"]
    done = await owner.take(log.write(executed(run_id, 5)))
    assert done.kinds() == ["call-succeeded.v1", "run-completed.v1"]
    published = [sent for took in (begun, asked, approved, done) for sent in took.on(EVENTS.name)]
    held = await dump(ledger_url)
    assert [row[3] for row in held["events"]] == [sent.value for sent in published]
    assert {sent.key for sent in published} == {str(run_id).encode()}
    assert held["deadlines"] == [], "a run that is over waits for nothing"


async def test_a_command_that_changes_nothing_is_answered(owner: Owner) -> None:
    """A claim is renewed at most so often; who asks in between gets the view all the same, and again when asking again."""
    log, run_id = Log(), uuid4()
    await owner.take(log.write(start(run_id), prepared(run_id)))

    def claim() -> ClaimTask:
        return ClaimTask(command_id=uuid4(), run_id=run_id, at=datetime.now(UTC), actor="ann", reply_to=0)

    claimed = await owner.take(log.write(claim()))
    assert claimed.kinds() == ["task-claimed.v1"]
    renewal = claim()
    for _ in range(2):
        renewed = await owner.take(log.write(renewal))
        assert renewed.kinds() == []
        (answer,) = renewed.outcomes()
        assert isinstance(answer, Accepted)
        assert answer.view.version == 4
        assert answer.view.checkpoint is not None
        assert answer.view.checkpoint.task.claimant == "ann"


async def test_one_batch_holds_several_runs_and_partitions(owner: Owner, ledger_url: str) -> None:
    """Each run is decided in the order of its commands, each partition moves to its own end."""
    log, runs = Log(), [uuid4() for _ in range(6)]
    log.write(*(start(run_id) for run_id in runs[:3]), partition=0)
    log.write(*(start(run_id) for run_id in runs[3:]), partition=3)
    log.write(prepared(runs[1]), approve(runs[1]), partition=0)
    log.write(prepared(runs[4]), partition=3)
    sent = await owner.take(log.records)
    assert sent.kinds(runs[0]) == ["run-started.v1"]
    assert [event.version for event in sent.events(runs[1])] == [1, 2, 3, 4, 5]
    assert sent.kinds(runs[4])[-1] == "checkpoint-opened.v1"
    ordered = {order.run_id: order.kind for order in sent.orders()}
    assert ordered == {
        runs[0]: "prepare.v1",
        runs[2]: "prepare.v1",
        runs[1]: "execute.v1",
        runs[3]: "prepare.v1",
        runs[5]: "prepare.v1",
    }
    assert await owner.ledger.positions([0, 3]) == {0: 5, 3: 4}
    assert len((await dump(ledger_url))["deadlines"]) == 6


async def test_an_event_that_is_too_large_is_refused_and_the_partition_goes_on(
    make_owner: MakeOwner,
) -> None:
    """A command that would record more than an event may hold leaves nothing but its answer."""
    log, run_id = Log(), uuid4()
    large = prepared(run_id, {"text": "x" * (MAX_EVENT_BYTES - 200)}, reply_to=1)
    batch = log.write(start(run_id), large, prepared(run_id), start())
    sent = await make_owner().take(batch)
    assert sent.answer(large.command_id) == "payload_too_large"
    assert sent.kinds(run_id) == ["run-started.v1", "run-prepared.v1", "checkpoint-opened.v1"]
    assert len(sent.events()) == 4
    assert (await make_owner().take(batch)).as_bytes() == sent.as_bytes()


async def test_an_answer_that_would_fit_no_record_is_refused_and_the_partition_goes_on(make_owner: MakeOwner) -> None:
    """Such a command leaves nothing but its refusal. One for whose answer no sender waits takes effect: of the clock or a worker."""
    log, run_id = Log(), uuid4()
    log.write(start(run_id, hitl={"review": {"approvals_required": 100}, "timeout_seconds": 60}), prepared(run_id))
    for turn in range(30):  # each vote keeps who was asked then: 160 kB
        names = tuple(f"{turn}-{number}-".ljust(200, "\U0001f600") for number in range(100))
        about = {"command_id": uuid4(), "run_id": run_id, "at": datetime.now(UTC), "actor": "adam"}
        log.write(approve(run_id, actor=f"p{turn}"), EscalateTask(**about, to=Candidates(users=names, groups=names)))
    owner = make_owner()
    (opened,) = [
        event.data for event in (await owner.take(log.records)).events() if isinstance(event.data, CheckpointOpened)
    ]
    refused = approve(run_id, actor="zoe", reply_to=1)
    sent = await owner.take(batch := log.write(refused, start()))
    assert sent.answer(refused.command_id) == "payload_too_large"
    assert sent.kinds() == ["run-started.v1"]
    assert (await make_owner().take(batch)).as_bytes() == sent.as_bytes()
    late = datetime.now(UTC) + timedelta(hours=1)
    about = {"command_id": uuid4(), "run_id": run_id, "at": late, "checkpoint_id": opened.checkpoint_id}
    assert (await owner.take(log.write(ExpireCheckpoint(**about)))).kinds() == [
        "checkpoint-expired.v1",
        "run-failed.v1",
    ]


async def test_time_never_runs_backwards_within_a_run(owner: Owner) -> None:
    """Events carry the time at which their command was taken in, whatever time the sender wrote."""
    log, run_id = Log(), uuid4()
    begun = start(run_id, at="2001-01-01T00:00:00Z")
    sent = await owner.take(log.write(begun, prepared(run_id, at="2099-01-01T00:00:00Z"), approve(run_id)))
    times = [event.at for event in sent.events()]
    assert times == sorted(times)
    assert {time.year for time in times} <= {datetime.now(UTC).year, datetime.now(UTC).year - 1}


async def test_another_tenant_is_told_that_there_is_no_such_run(owner: Owner) -> None:
    """A run is only there for the tenant that started it."""
    log, run_id = Log(), uuid4()
    foreign = cancel(run_id, tenant="other", reply_to=0)
    sent = await owner.take(log.write(start(run_id), foreign))
    assert sent.answer(foreign.command_id) == "run_not_found"


async def test_a_provider_that_asks_for_centuries_of_patience_is_asked_again_after_a_day(owner: Owner) -> None:
    """A Retry-After beyond all calendars stops no partition."""
    log, run_id = Log(), uuid4()
    sent = await owner.take(log.write(start(run_id), failed(run_id, retryable=True, retry_after=1e300)))
    scheduled = sent.events()[-1]
    assert isinstance(scheduled.data, RetryScheduled)
    assert scheduled.data.retry_at - scheduled.at == timedelta(days=1)


async def test_a_command_that_breaks_the_core_is_answered_and_set_aside(make_owner: MakeOwner) -> None:
    """A fault of ours costs its command alone: it is refused, kept as a dead letter, and the batch around it is unharmed."""
    log, run_id, other = Log(), uuid4(), uuid4()
    end_of_time = {"work_id": f"{run_id}.1", "attempt": 1, "at": datetime.max.replace(tzinfo=UTC)}
    about = {"command_id": uuid4(), "run_id": run_id, "reply_to": 1}
    breaking = ExpireLease(**about, **end_of_time)
    batch = log.write(start(run_id), breaking, prepared(run_id), start(other))
    sent = await make_owner().take(batch)
    assert sent.answer(breaking.command_id) == "internal_error"
    (letter,) = sent.dead()
    assert (letter.value, dict(letter.headers)["error-type"]) == (batch[1].value, b"OverflowError")
    assert sent.kinds(run_id) == ["run-started.v1", "run-prepared.v1", "checkpoint-opened.v1"]
    assert sent.kinds(other) == ["run-started.v1"]
    again = await make_owner().take(batch)
    assert again.on(OUTCOMES.name) == sent.on(OUTCOMES.name)


async def test_what_waits_for_a_person_is_answered_with_the_view(owner: Owner) -> None:
    """An answer holds the run as it was after the command, even when later commands of the batch changed it."""
    log, run_id = Log(), uuid4()
    answer, decision = prepared(run_id, reply_to=0), approve(run_id, reply_to=0)
    sent = await owner.take(log.write(start(run_id), answer, decision))
    asked, approved = sent.outcomes(answer.command_id)[0], sent.outcomes(decision.command_id)[0]
    assert isinstance(asked, Accepted)
    assert isinstance(approved, Accepted)
    assert asked.view.checkpoint is not None
    assert (asked.view.version, asked.view.checkpoint.step) == (3, Step.PAYLOAD_REVIEW)
    assert (approved.view.version, approved.view.checkpoint) == (5, None)


async def test_commands_that_are_missing_from_the_log_are_told(
    make_owner: MakeOwner, capfd: pytest.CaptureFixture[str]
) -> None:
    """What was deleted before it was decided cannot be had back, but a person learns of it; a new ledger misses nothing."""
    log = Log()
    batch = log.write(*(start() for _ in range(6)))
    owner = make_owner()
    await owner.take(batch[2:4])
    assert "deleted" not in capfd.readouterr().out
    assert len((await owner.take(batch[5:])).events()) == 1
    said = capfd.readouterr().out
    assert "commands were deleted before they were decided" in said
    assert "first=4" in said
    assert "last=4" in said
    assert await owner.ledger.positions([0]) == {0: 6}
