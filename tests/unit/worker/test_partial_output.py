"""A running call's text goes to watchers piece by piece, in order, without secrets, and holds nothing up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.providers.call_stream import PartialOutput
from contracts.providers.orders import ExecuteOrder
from contracts.runs.commands import RecordExecution
from contracts.topics import PARTIALS
from messaging.errors import KafkaError
from messaging.records import Outgoing
from provider_worker.execution.call import CallHandler
from provider_worker.execution.partial_output import MOST_WAITING, PartialOutputSender
from provider_worker.providers.sandbox import SandboxProvider
from provider_worker.sanitizer import Sanitizer
from provider_worker.testing.memory import MemoryPublisher
from testkit.worker.bench import OwnClaim, dependencies_on

MakeExecute = Callable[..., ExecuteOrder]
KEY = "sk-a-very-secret-key"
OWN_END = "sk-a-very-secret-keysk"


class Cut(MemoryPublisher):
    """A way to Kafka that is cut."""

    async def try_to_send(self, _: Outgoing) -> None:
        """Fail."""
        raise KafkaError("switched off")


class Interrupted(MemoryPublisher):
    """A way to Kafka that loses the first record."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = asyncio.Event()

    async def try_to_send(self, record: Outgoing) -> None:
        """Lose a record, or take it."""
        if not self.lost.is_set():
            self.lost.set()
            raise KafkaError("switched off for a moment")
        await super().try_to_send(record)


class Slow(MemoryPublisher):
    """A way to Kafka on which nothing arrives until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = asyncio.Event()

    async def try_to_send(self, record: Outgoing) -> None:
        """Take a record, and wait for its arrival."""
        await super().try_to_send(record)
        await self.arrived.wait()


def pieces(publisher: MemoryPublisher) -> list[PartialOutput]:
    """Return what watchers get."""
    return [PartialOutput.model_validate_json(r.value or b"") for r in publisher.sent if r.topic == PARTIALS.name]


async def test_a_streamed_answer_is_told_in_pieces_that_join_up(execute_order: MakeExecute) -> None:
    """To the watchers of its run, user and session; the pieces together are the answer."""
    publisher, order = MemoryPublisher(), execute_order(parameters={"stream": True}, user_id="u1", session_id="s1")
    calls = CallHandler(dependencies_on(publisher))
    answer = await calls.make(order, SandboxProvider(delay=0.3), OwnClaim())
    assert isinstance(answer, RecordExecution)
    said = pieces(publisher)
    assert len(said) > 1
    assert "".join(piece.text for piece in said) == answer.execution.response["text"]
    assert [piece.offset for piece in said] == [sum(len(p.text) for p in said[:n]) for n in range(len(said))]
    owners = {(piece.run_id, piece.work_id, piece.attempt, piece.user_id, piece.session_id) for piece in said}
    assert owners == {(order.run_id, order.work_id, 1, "u1", "s1")}
    assert {record.key for record in publisher.sent} == {str(order.run_id).encode()}


async def test_a_call_that_does_not_stream_says_nothing_in_between(execute_order: MakeExecute) -> None:
    """Its answer comes whole."""
    publisher = MemoryPublisher()
    await CallHandler(dependencies_on(publisher)).make(execute_order(), SandboxProvider(), OwnClaim())
    assert publisher.sent == []


@pytest.mark.parametrize("cut", range(1, len(KEY)))
async def test_no_secret_is_told_however_it_is_cut(execute_order: MakeExecute, cut: int) -> None:
    """What may be the beginning of one waits until more is known."""
    publisher = MemoryPublisher()
    partial_output = PartialOutputSender(execute_order(), publisher, Sanitizer([KEY]))
    partial_output.add("the key " + KEY[:cut])
    await publisher.until_sent(1)
    partial_output.add(KEY[cut:] + " is it")
    await partial_output.close()
    assert "".join(piece.text for piece in pieces(publisher)) == "the key [hidden] is it"


@pytest.mark.parametrize("text", [OWN_END, f"the key {OWN_END}", f"{OWN_END} and {OWN_END}"])
async def test_a_secret_that_ends_as_it_begins_is_hidden_at_the_end_of_a_piece(
    execute_order: MakeExecute, text: str
) -> None:
    """Its last letters may begin another, and are none the less its own."""
    publisher = MemoryPublisher()
    partial_output = PartialOutputSender(execute_order(), publisher, Sanitizer([OWN_END]))
    partial_output.add(text)
    await publisher.until_sent(1)
    await partial_output.close()
    assert "".join(piece.text for piece in pieces(publisher)) == text.replace(OWN_END, "[hidden]")


@given(text=st.text(alphabet="sk-aver", max_size=40))
def test_what_waits_is_the_beginning_of_a_secret_and_as_much_of_it_as_there_is(text: str) -> None:
    """Never more, so that nothing waits in vain; never less."""
    unsure = Sanitizer([KEY]).unsure_of(text)
    assert unsure == max(n for n in range(len(KEY)) if KEY[:n] == text[len(text) - n :] or n == 0)


async def test_a_piece_that_is_on_its_way_at_the_end_is_told_once(execute_order: MakeExecute) -> None:
    """The end waits for it; the next piece has its place after it."""
    publisher = Slow()
    partial_output = PartialOutputSender(execute_order(), publisher, Sanitizer())
    partial_output.add("It is ")
    await publisher.until_sent(1)
    partial_output.add("red.")
    closing = asyncio.create_task(partial_output.close())
    await asyncio.sleep(0)
    publisher.arrived.set()
    await closing
    assert [(piece.offset, piece.text) for piece in pieces(publisher)] == [(0, "It is "), (6, "red.")]


async def test_while_kafka_is_away_the_call_goes_on(execute_order: MakeExecute) -> None:
    """Watchers miss something; the run does not."""
    order = execute_order(parameters={"stream": True})
    answer = await CallHandler(dependencies_on(Cut())).make(order, SandboxProvider(delay=0.2), OwnClaim())
    assert isinstance(answer, RecordExecution)


async def test_a_piece_that_is_lost_shows_as_a_gap(execute_order: MakeExecute) -> None:
    """A watcher that joins the pieces notices."""
    publisher = Interrupted()
    partial_output = PartialOutputSender(execute_order(), publisher, Sanitizer())
    partial_output.add("It is ")
    await publisher.lost.wait()
    partial_output.add("red.")
    await partial_output.close()
    assert [(piece.offset, piece.text) for piece in pieces(publisher)] == [(6, "red.")]


async def test_more_than_can_be_held_is_left_out_and_the_offsets_show_it(execute_order: MakeExecute) -> None:
    """Memory stays bounded however fast a model talks."""
    publisher = MemoryPublisher()
    partial_output = PartialOutputSender(execute_order(), publisher, Sanitizer())
    partial_output.add("x" * (MOST_WAITING + 1))
    partial_output.add("left out")
    await publisher.until_sent(9)
    partial_output.add("here again")
    await partial_output.close()
    said = pieces(publisher)
    assert sum(len(piece.text) for piece in said[:-1]) == MOST_WAITING + 1
    assert (said[-1].text, said[-1].offset) == ("here again", MOST_WAITING + 1 + len("left out"))


async def test_nothing_is_left_behind_by_a_call_that_says_nothing(execute_order: MakeExecute) -> None:
    """No task and no message."""
    publisher = MemoryPublisher()
    before = asyncio.all_tasks()
    await PartialOutputSender(execute_order(), publisher, Sanitizer()).close()
    assert (publisher.sent, asyncio.all_tasks()) == ([], before)
