"""Asking and being answered over two topics, on the embedded broker and on the real one."""

from __future__ import annotations

import asyncio
import json
from uuid import uuid4

from pydantic_core import to_json

from contracts.runs.commands import Command, parse_command
from contracts.runs.outcomes import Refused
from contracts.topics import COMMANDS, OUTCOMES
from messaging.client.slots import partition_of
from messaging.producer import Producer
from messaging.records import Outgoing
from messaging.request_reply import RequestReply
from orchestrator.aggregate import Reply
from orchestrator.intake.records import outcome_records
from testkit.runs.command_records import cancel

from .conftest import MakeReader, MakeRequestReply

WAIT = 10.0


def answer(command: Command, asker: RequestReply, code: str = "not_allowed") -> list[Outgoing]:
    """Return the outcome of a command as the orchestrator sends it."""
    asked = parse_command(command.model_copy(update={"reply_to": asker.partition}).model_dump_json().encode())
    said = Refused(command_id=command.command_id, run_id=command.run_id, code=code, message="no")
    return list(outcome_records(asked, str(asked.run_id).encode(), Reply(to_json(said))))


async def test_an_asker_gets_the_outcome_of_its_command(asker: RequestReply, producer: Producer) -> None:
    """Whatever else lies on the partition: outcomes of others, records that are none."""
    command = cancel(uuid4())
    asking = asyncio.create_task(asker.ask(command, WAIT))
    stray = Outgoing(OUTCOMES.name, None, b"\xff", [("command_id", b"short"), ("x", b"\xff")], asker.partition)
    nothing = Outgoing(OUTCOMES.name, b"k", b"{}", [], asker.partition)
    await asyncio.gather(*await producer.send_all([stray, nothing, *answer(cancel(uuid4()), asker, "other")]))
    await asyncio.gather(*await producer.send_all(answer(command, asker)))
    outcome = await asking
    assert isinstance(outcome, Refused)
    assert (outcome.command_id, outcome.code) == (command.command_id, "not_allowed")


async def test_a_command_carries_where_its_answer_is_awaited(
    asker: RequestReply, make_reader: MakeReader, producer: Producer
) -> None:
    """It goes to its run's partition with its run's key and names the asker's partition."""
    command = cancel(uuid4())
    key = str(command.run_id).encode()
    reader = await make_reader(COMMANDS.name, partition_of(key, await producer.partitions(COMMANDS.name)))
    asking = asyncio.create_task(asker.ask(command, WAIT))
    (record,) = await reader.read(1)
    arrived = parse_command(record.value)
    assert (arrived.command_id, arrived.reply_to) == (command.command_id, asker.partition)
    assert record.key == key
    await asyncio.gather(*await producer.send_all(answer(command, asker)))
    assert await asking is not None


async def test_a_late_outcome_is_none_and_harms_nobody(asker: RequestReply, producer: Producer) -> None:
    """When time is up the asker is told so; the outcome that comes later is nobody's, and asking again works."""
    command = cancel(uuid4())
    assert await asker.ask(command, 0.3) is None
    await asyncio.gather(*await producer.send_all(answer(command, asker)))
    asking = asyncio.create_task(asker.ask(command, WAIT))
    await asyncio.sleep(0)
    await asyncio.gather(*await producer.send_all(answer(command, asker)))
    assert await asking is not None


async def test_two_who_ask_the_same_are_both_answered(asker: RequestReply, producer: Producer) -> None:
    """A repeated request waits for the same outcome; one who gives up takes it from nobody."""
    command = cancel(uuid4())
    impatient = asyncio.create_task(asker.ask(command, 0.3))
    patient = [asyncio.create_task(asker.ask(command, WAIT)) for _ in range(2)]
    assert await impatient is None
    await asyncio.gather(*await producer.send_all(answer(command, asker)))
    assert [type(outcome) for outcome in await asyncio.gather(*patient)] == [Refused, Refused]


async def test_the_same_key_with_another_body_gets_an_answer_of_its_own(
    asker: RequestReply, producer: Producer
) -> None:
    """Both are asked at once; what the first is told is no answer to the second."""
    one = cancel(uuid4(), request_sha256="a" * 64)
    other = one.model_copy(update={"request_sha256": "b" * 64})
    asking = [asyncio.create_task(asker.ask(said, WAIT)) for said in (one, other)]
    await asyncio.gather(*await producer.send_all([*answer(one, asker, "first"), *answer(other, asker, "second")]))
    assert [outcome.code for outcome in await asyncio.gather(*asking) if isinstance(outcome, Refused)] == [
        "first",
        "second",
    ]


async def test_two_askers_on_one_partition_each_get_their_own(
    make_request_reply: MakeRequestReply, producer: Producer
) -> None:
    """Instances may pick the same partition; each skips what it did not ask."""
    one = await make_request_reply()
    other = await make_request_reply(beside=one)
    commands = [cancel(uuid4()) for _ in range(20)]
    asking = [asyncio.create_task((one, other)[n % 2].ask(said, WAIT)) for n, said in enumerate(commands)]
    await asyncio.gather(*await producer.send_all(sent for said in commands for sent in answer(said, one)))
    outcomes = await asyncio.gather(*asking)
    assert [isinstance(outcome, Refused) and outcome.command_id for outcome in outcomes] == [
        said.command_id for said in commands
    ]


async def test_an_outcome_that_cannot_be_read_is_passed_over(asker: RequestReply, producer: Producer) -> None:
    """A malformed record with the right id neither answers nor breaks the asker."""
    command = cancel(uuid4())
    asking = asyncio.create_task(asker.ask(command, WAIT))
    (good,) = answer(command, asker)
    bad = Outgoing(good.topic, good.key, json.dumps({"kind": "?"}).encode(), good.headers, good.partition)
    await asyncio.gather(*await producer.send_all([bad, good]))
    assert isinstance(await asking, Refused)
