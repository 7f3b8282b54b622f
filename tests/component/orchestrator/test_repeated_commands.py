"""Commands that come again, however late: each took effect once, and its answer is the one that it got first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import pytest

from contracts.runs.commands import ApproveCheckpoint, Asked, ClaimTask, DelegateTask, ReleaseTask, ReturnTask
from contracts.runs.outcomes import Accepted
from contracts.topics import COMMANDS, MAX_EVENT_BYTES, OUTCOMES, WORK
from testkit.postgres.unreliable import dump
from testkit.runs.command_records import Log, approve, cancel, executed, prepared, start

from .conftest import MakeOwner, Owner

Ask = Callable[..., Asked]


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


def _code(outcome: object) -> str:
    return "accepted" if isinstance(outcome, Accepted) else str(getattr(outcome, "code", outcome))
