"""OpenAI's answers stream, and end when their call is stopped. Over HTTP on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import openai
import pytest
import pytest_asyncio
from openai.lib.streaming.chat import ChatCompletionStreamState

from contracts.providers.call import Spent
from fake_vendors.openai import FakeOpenAI
from provider_worker.providers.base import Attachment
from provider_worker.providers.openai import OpenAIProvider
from provider_worker.providers.progress import Progress, Unfinished
from provider_worker.testing.memory import MemoryArtifacts

from .completions import FORMS, KEY, PACE, Notes, a_call, a_payload, ask

FAKE = FakeOpenAI
"""The fake vendor of this module's tests."""

SCHEMA = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 18}}, "required": ["age"]}


@pytest_asyncio.fixture
async def provider(url: str) -> AsyncIterator[OpenAIProvider]:
    """Give a provider whose server is the fake."""
    provider = OpenAIProvider(KEY, f"{url}/v1", schedule=PACE)
    yield provider
    await provider.close()


async def _until(fake: FakeOpenAI, what: str, number: int) -> None:
    async with asyncio.timeout(20):
        while fake.others[what] < number:  # noqa: ASYNC110 - a server counts, and sends no event
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("form", FORMS)
async def test_each_form_gives_the_same_answer(provider: OpenAIProvider, form: str) -> None:
    """Scored and priced alike; JSON fits its schema."""
    audit = await ask(provider, form, model="gpt-5.4-mini", prompt="x" * 400)
    assert audit.response == {
        "text": "The fake heard 400 characters.",
        "finish_reason": "stop",
        "model": "gpt-5.4-mini",
    }
    assert audit.signals.response_quality == 1.0
    assert audit.cost == (100 * Decimal("0.75") + 7 * Decimal("4.50")) / 1_000_000
    found = await ask(provider, form, "json", parameters={"schema": SCHEMA})
    assert found.response["json"]["age"] >= 18
    assert found.signals.response_quality == 1.0


@pytest.mark.parametrize("form", ["streamed chat", "streamed response", "streamed background"])
async def test_a_text_is_said_word_by_word(provider: OpenAIProvider, form: str) -> None:
    """And is the answer in the end; its usage is noted, should the call be stopped just then."""
    said: list[str] = []
    progress = Progress(said.append)
    audit = await ask(provider, form, call=a_call(progress=progress))
    assert len(said) > 3
    assert "".join(said) == audit.response["text"]
    assert progress.usage == audit.usage


@pytest.mark.parametrize("form", ["chat", "response", "background"])
async def test_what_does_not_stream_says_nothing_meanwhile(provider: OpenAIProvider, form: str) -> None:
    """Its answer comes whole."""
    said: list[str] = []
    await ask(provider, form, call=a_call(progress=Progress(said.append)))
    assert said == []


@pytest.mark.parametrize("form", FORMS)
async def test_only_what_can_be_found_again_is_noted(provider: OpenAIProvider, form: str) -> None:
    """A response that is made in the background, once; to resume it buys nothing and gives the same answer."""
    notes = Notes()
    payload = await a_payload(provider, form)
    answer = await provider.execute(payload, a_call(note=notes.note))
    assert len(notes.noted) == ("background" in form)
    for name in notes.noted:
        resumed = await provider.execute(payload, a_call(resume=name))
        assert resumed.raw == answer.raw


@pytest.mark.parametrize("form", ["streamed chat", "streamed response"])
async def test_a_server_that_does_not_stream_is_read_as_before(provider: OpenAIProvider, form: str) -> None:
    """For any request."""
    assert (await ask(provider, form, model="fault-deaf")).response["text"]


@pytest.mark.parametrize("form", FORMS)
async def test_exactly_the_payload_is_sent(provider: OpenAIProvider, fake: FakeOpenAI, form: str) -> None:
    """Member for member, those included that the SDK does not know."""
    payload = {**await a_payload(provider, form, prompt="é"), "x": {"y": [None, 1.5]}}
    await provider.execute(payload, a_call())
    assert fake.bodies[-1] == payload


async def test_files_reach_the_server_as_parts_of_a_response_s_input(
    provider: OpenAIProvider, fake: FakeOpenAI
) -> None:
    """With their bytes."""
    artifacts = MemoryArtifacts()
    ref = await artifacts.of("acme").keep(b"words", "text/csv")
    await ask(provider, "response", call=a_call(artifacts=artifacts), attached=[Attachment(ref, "text/csv", 5)])
    (message,) = fake.bodies[-1]["input"]
    assert message["content"][1] == {"type": "input_text", "text": "words"}


@pytest.mark.parametrize(("form", "given"), [("streamed chat", 101), ("streamed response", 100)])
async def test_a_call_that_is_ended_closes_its_stream(
    provider: OpenAIProvider, fake: FakeOpenAI, form: str, given: int
) -> None:
    """The server sees the connection close; the usage by then is the cost."""
    heard = asyncio.Event()
    progress = Progress(lambda _: heard.set())
    payload = await a_payload(provider, form, model="gpt-5.4-mini", prompt="[fault:stall] " + "x" * 386)
    before = fake.others["disconnects"]
    calling = asyncio.create_task(provider.execute(payload, a_call(progress=progress)))
    await heard.wait()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await _until(fake, "disconnects", before + 1)
    unfinished = Unfinished("text", "gpt-5.4-mini", payload, progress.characters, progress.usage)
    spent = await provider.stop(unfinished)
    assert spent.estimated
    assert spent.usage["prompt_tokens"] == given
    assert spent.usage["completion_tokens"] == -(-progress.characters // 4)
    assert spent.cost == (given * Decimal("0.75") + spent.usage["completion_tokens"] * Decimal("4.50")) / 1_000_000


@pytest.mark.parametrize("form", ["background", "streamed background"])
async def test_a_response_in_the_background_is_cancelled(provider: OpenAIProvider, fake: FakeOpenAI, form: str) -> None:
    """By its id, which was noted before any wait; OpenAI reports its usage. Twice is once."""
    notes, noted = Notes(), asyncio.Event()

    async def note(name: str) -> None:
        await notes.note(name)
        noted.set()

    payload = await a_payload(provider, form, model="gpt-5.4-mini", prompt="[fault:pending] " + "x" * 384)
    calling = asyncio.create_task(provider.execute(payload, a_call(note=note)))
    await noted.wait()
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    before = fake.others["cancelled"]
    unfinished = Unfinished("text", "gpt-5.4-mini", provider_call_id=notes.noted[0])
    for number in (1, 2):
        spent = await provider.stop(unfinished)
        assert (spent.usage["input_tokens"], spent.usage["output_tokens"], spent.estimated) == (100, 0, False)
        assert spent.cost == 100 * Decimal("0.75") / 1_000_000
        assert fake.others["cancelled"] == before + number


@pytest.mark.parametrize(
    ("unfinished", "spent"),
    [
        (
            Unfinished("text", "gpt-5.4-mini", None, 9, {"prompt_tokens": 4, "completion_tokens": 2}),
            Spent(usage={"prompt_tokens": 4, "completion_tokens": 2}, cost=Decimal("0.000012")),
        ),
        (
            Unfinished("text", None, {"model": "gpt-5.4-mini", "input": "x" * 16, "max_output_tokens": 20}),
            Spent(usage={"prompt_tokens": 4, "completion_tokens": 20}, cost=Decimal("0.000093"), estimated=True),
        ),
        (
            Unfinished("text", "llama", {"input": "x" * 16, "stream": True}),
            Spent(usage={"prompt_tokens": 4, "completion_tokens": 0}, estimated=True),
        ),
        (
            Unfinished("image", "gpt-image-2", {"model": "gpt-image-2", "prompt": "x" * 16, "quality": "low"}),
            Spent(usage={"input_tokens": 4, "output_tokens": 272}, cost=Decimal("0.00818"), estimated=True),
        ),
        (Unfinished("text", "gpt-5.4-mini"), Spent()),
        (Unfinished("image", "gpt-image-2"), Spent()),
        (Unfinished("text", "gpt-5.4-mini", provider_call_id="resp_unheard_of"), Spent()),
    ],
    ids=["heard", "whole", "no price", "image", "no payload", "no image", "not known"],
)
async def test_what_was_spent_is_said_as_far_as_it_is_known(
    provider: OpenAIProvider, unfinished: Unfinished, spent: Spent
) -> None:
    """The reported usage; else an estimate, in which an unstreamed answer goes on; else nothing."""
    assert await provider.stop(unfinished) == spent


async def test_the_fake_streams_as_the_sdk_expects_chats(url: str) -> None:
    """Read with the SDK's own accumulator: the same completion that is answered without a stream."""
    asked: dict[str, Any] = {"model": "fake-1", "messages": [{"role": "user", "content": "Hi"}]}
    async with openai.AsyncOpenAI(api_key="any", base_url=f"{url}/v1", max_retries=0) as client:
        whole = await client.chat.completions.create(**asked)
        state = ChatCompletionStreamState()
        stream = await client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
        async for chunk in stream:
            state.handle_chunk(chunk)
    told = state.get_final_completion()
    assert told.choices[0].message.content == whole.choices[0].message.content
    assert told.usage == whole.usage


async def test_the_fake_makes_responses_as_the_sdk_expects_them(url: str) -> None:
    """Whole, streamed, and in the background, where one can be cancelled until it has ended."""
    async with openai.AsyncOpenAI(api_key="any", base_url=f"{url}/v1", max_retries=0) as client:
        whole = await client.responses.create(model="fake-1", input="Hi")
        assert (whole.status, whole.output_text) == ("completed", "The fake heard 2 characters.")
        async with client.responses.stream(model="fake-1", input="Hi") as stream:
            kinds = [event.type async for event in stream]
            final = await stream.get_final_response()
        assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
        assert final.output_text == whole.output_text
        begun = await client.responses.create(model="fake-1", input="Hi", background=True)
        looks = [begun.status, *[(await client.responses.retrieve(begun.id)).status for _ in range(2)]]
        assert looks == ["queued", "in_progress", "completed"]
        assert (await client.responses.cancel(begun.id)).status == "completed"
        other = await client.responses.create(model="fake-1", input="Hi", background=True)
        assert (await client.responses.cancel(other.id)).status == "cancelled"
        assert (await client.responses.retrieve(other.id)).status == "cancelled"
        unfit: list[dict[str, Any]] = [{"background": True, "store": False}, {"max_output_tokens": 3}, {"messages": []}]
        for members in unfit:
            with pytest.raises(openai.BadRequestError):
                await client.responses.create(model="fake-1", input="Hi", extra_body=members)
        with pytest.raises(openai.NotFoundError):
            await client.responses.cancel(whole.id)
