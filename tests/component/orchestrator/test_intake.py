"""Batches of commands in, decisions out: each command takes effect once, and its answer is the same whenever it is asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

import pytest

from contracts.runs.commands import (
    ApproveCheckpoint,
    Asked,
    ClaimTask,
    DelegateTask,
    EscalateTask,
    ExpireCheckpoint,
    ExpireLease,
    ReleaseTask,
    ReturnTask,
)
from contracts.runs.config import Step
from contracts.runs.events import CheckpointOpened, RetryScheduled
from contracts.runs.outcomes import Accepted
from contracts.runs.tasks.rules import Candidates
from contracts.topics import COMMANDS, EVENTS, MAX_EVENT_BYTES, OUTCOMES, WORK
from testkit.postgres.unreliable import dump
from testkit.runs.command_records import Log, approve, cancel, executed, failed, prepared, start

from .conftest import MakeOwner, Owner

Ask = Callable[..., Asked]


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


async def test_a_batch_below_the_position_decides_nothing_and_is_published_again(
    make_owner: MakeOwner, ledger_url: str
) -> None:
    """A new owner that reads the same records publishes events, orders, outcomes and dead letters byte for byte again."""
    log, run_id, other = Log(), uuid4(), uuid4()
    log.write(start(run_id, reply_to=0, request_sha256="a" * 64), prepared(run_id, reply_to=3))
    log.put(b"k", b"not json", partition=1, headers=[("h", b"\xff")])
    log.write(approve(run_id, reply_to=1), start(other, reply_to=1, hitl={"timeout_seconds": 0.123}), partition=0)
    log.write(approve(other, reply_to=2), approve(uuid4(), reply_to=2), partition=2)
    first = await make_owner().take(log.records)
    held = await dump(ledger_url)
    again = await make_owner().take(log.records)
    assert await dump(ledger_url) == held
    assert first.kinds(run_id)[-1] == "call-ordered.v1"
    assert [len(first.on(topic)) for topic in (WORK.name, OUTCOMES.name, COMMANDS.dead)] == [2, 6, 1]
    assert again.as_bytes() == first.as_bytes()


async def test_orders_that_are_no_longer_awaited_are_not_given_again(make_owner: MakeOwner) -> None:
    """What is published again orders only what the run, as it is now, waits for."""
    log, run_id = Log(), uuid4()
    begun = log.write(start(run_id))
    answered = log.write(prepared(run_id), approve(run_id))
    first = make_owner()
    await first.take(begun)
    await first.take(answered)
    again = await make_owner().take(begun + answered)
    assert [order.kind for order in again.orders()] == ["execute.v1"]
    assert [event.version for event in again.events()] == [1, 2, 3, 4, 5]


async def test_a_batch_that_begins_below_the_position_and_ends_above_it_is_both(
    make_owner: MakeOwner, ledger_url: str
) -> None:
    """Old commands are published again, new ones are decided on top of them, in one batch."""
    log, run_id = Log(), uuid4()
    begun = start(run_id, reply_to=0)
    await make_owner().take(log.write(begun))
    log.write(prepared(run_id))
    sent = await make_owner().take(log.records)
    assert [event.version for event in sent.events()] == [1, 2, 3]
    assert sent.answer(begun.command_id) == "accepted"
    assert [row[1] for row in (await dump(ledger_url))["events"]] == [1, 2, 3]


async def test_a_refused_command_is_refused_again_after_the_run_has_moved_on(make_owner: MakeOwner) -> None:
    """What would be accepted now gets the answer that it got then, across batches and owners."""
    log, run_id = Log(), uuid4()
    owner, early = make_owner(), approve(run_id, reply_to=0)
    first = await owner.take(log.write(start(run_id), early))
    await owner.take(log.write(prepared(run_id)))
    again = await owner.take(log.write(early))
    elsewhere = await make_owner().take(log.write(early))
    assert first.answer(early.command_id) == "not_allowed"
    assert again.on(OUTCOMES.name) == elsewhere.on(OUTCOMES.name) == first.on(OUTCOMES.name)
    assert len(again.events()) == len(elsewhere.events()) == 0


async def test_a_refused_command_is_refused_again_within_its_batch(owner: Owner, ledger_url: str) -> None:
    """Delivered twice in one batch, with the run moving on in between, it is refused twice and takes no effect."""
    log, run_id = Log(), uuid4()
    early = approve(run_id, reply_to=0)
    sent = await owner.take(log.write(start(run_id), early, prepared(run_id), early))
    one, two = sent.on(OUTCOMES.name)
    assert one == two
    assert sent.kinds() == ["run-started.v1", "run-prepared.v1", "checkpoint-opened.v1"]
    assert len((await dump(ledger_url))["refusals"]) == 1


@pytest.mark.parametrize(
    ("before", "asked", "between", "code"),
    [
        (ClaimTask, ApproveCheckpoint, ReleaseTask, "claimed_by_other"),
        (ClaimTask, ClaimTask, ReleaseTask, "claimed_by_other"),
        (None, ReleaseTask, ClaimTask, "not_claimed"),
        (partial(DelegateTask, user="bo"), ApproveCheckpoint, ReturnTask, "delegated"),
    ],
)
async def test_what_another_person_stood_in_the_way_of_is_refused_again_when_no_one_does(
    owner: Owner, before: Ask | None, asked: Ask, between: Ask, code: str
) -> None:
    """A record that Kafka holds twice makes no vote and no claim of one whose client was told that it is none."""
    log, run_id = Log(), uuid4()

    def by(actor: str, ask: Ask) -> Asked:
        return ask(command_id=uuid4(), run_id=run_id, at=datetime.now(UTC), actor=actor, reply_to=0)

    command = by("cleo", asked)
    await owner.take(log.write(start(run_id), prepared(run_id), *([by("ann", before)] if before else [])))
    first = await owner.take(log.write(command))
    freed = await owner.take(log.write(by("cleo" if before is None else "ann", between)))
    again = await owner.take(log.write(command))
    assert first.answer(command.command_id) == code
    assert len(freed.events()) > 0
    assert again.on(OUTCOMES.name) == first.on(OUTCOMES.name)
    assert again.kinds() == []


async def test_a_start_that_comes_again_when_its_run_is_over_begins_nothing(owner: Owner, ledger_url: str) -> None:
    """Its run is not kept any more: it gets its answer from the ledger, and what comes with it in the batch takes effect."""
    log, run_id, other = Log(), uuid4(), uuid4()
    once = start(run_id, reply_to=0)
    first = await owner.take(log.write(once, cancel(run_id), start(other)))
    sent = await owner.take(log.write(start(reply_to=1), once, prepared(other)))
    assert sent.answer(once.command_id) == "accepted"
    assert sent.on(OUTCOMES.name)[-1] == first.on(OUTCOMES.name)[0]
    assert sent.kinds() == ["run-started.v1", "run-prepared.v1", "checkpoint-opened.v1"]
    assert len((await dump(ledger_url))["events"]) == len(first.events()) + 3


async def test_a_start_that_was_refused_is_refused_again(owner: Owner) -> None:
    """Its run has no events; the same command with a body that would be accepted gets the answer that it got."""
    log, run_id = Log(), uuid4()
    refused = start(run_id, prompt="p" * MAX_EVENT_BYTES, reply_to=0)
    first = await owner.take(log.write(refused))
    again = await owner.take(log.write(start(run_id, command_id=refused.command_id, reply_to=0), start(run_id)))
    assert first.answer(refused.command_id) == "payload_too_large"
    assert again.on(OUTCOMES.name) == first.on(OUTCOMES.name)
    assert again.kinds() == ["run-started.v1"], "another command may start it"


async def test_a_command_delivered_twice_takes_effect_once(make_owner: MakeOwner, ledger_url: str) -> None:
    """Within a batch, in the next one, at another owner: one effect, and each time the answer that it got first."""
    log, run_id = Log(), uuid4()
    owner = make_owner()
    await owner.take(log.write(start(run_id), prepared(run_id)))
    once = approve(run_id, reply_to=1)
    first = await owner.take(log.write(once, once))
    await owner.take(log.write(executed(run_id, 5)))
    again = await owner.take(log.write(once))
    elsewhere = await make_owner().take(log.write(once))
    answers = [sent.value for took in (first, again, elsewhere) for sent in took.on(OUTCOMES.name)]
    assert len(answers) == 4
    assert len(set(answers)) == 1
    assert len(first.events()) == 2
    assert len(again.events()) == len(elsewhere.events()) == 0
    assert len((await dump(ledger_url))["events"]) == 7


async def test_the_same_id_with_another_body_is_refused_and_the_first_answer_stands(make_owner: MakeOwner) -> None:
    """An id that was accepted or refused before is refused as reused, in the same batch, later, and from a new owner."""
    log, run_id = Log(), uuid4()
    accepted = start(run_id, reply_to=0, request_sha256="a" * 64)
    refused = approve(run_id, reply_to=0, request_sha256="a" * 64)
    others = [said.model_copy(update={"request_sha256": "b" * 64}) for said in (accepted, refused)]
    owner = make_owner()
    batches = [log.write(accepted, refused, *others), log.write(*others, accepted, refused)]
    first, second = [await owner.take(batch) for batch in batches]
    reused = ["idempotency_key_reused"] * 2
    codes = [_code(outcome) for outcome in first.outcomes()]
    assert sorted(codes) == sorted(["accepted", "not_allowed", *reused])
    assert sorted(_code(outcome) for outcome in second.outcomes()) == sorted(["accepted", "not_allowed", *reused])
    again = await make_owner().take([record for batch in batches for record in batch])
    given = [sent.value for took in (first, second) for sent in took.on(OUTCOMES.name)]
    assert sorted(sent.value or b"" for sent in again.on(OUTCOMES.name)) == sorted(value or b"" for value in given)


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


def _code(outcome: object) -> str:
    return "accepted" if isinstance(outcome, Accepted) else str(getattr(outcome, "code", outcome))
