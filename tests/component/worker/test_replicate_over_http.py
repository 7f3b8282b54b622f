"""The real SDK against the fake Replicate, over HTTP on loopback."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image
from replicate.client import Client

from component.worker.workshop import a_prepare_order, serving
from contracts.work import CallIntent
from provider_worker.fakes.memory import MemoryShelves
from provider_worker.fakes.replicate import FakeReplicate
from provider_worker.fakes.replicate_models import version_of
from provider_worker.preparing import prepare
from provider_worker.providers.base import Attachment, Audit, Call, ProviderError
from provider_worker.providers.registry import Registry
from provider_worker.providers.replicate import ReplicateProvider
from provider_worker.providers.replicate.predicting import Pace
from provider_worker.sanitizing import Sanitizer

KEY = "r8_test_very_secret_token"
PACE = Pace(first=0.001, longest=0.01, patience=20)
PAINTER = f"acme/painter:{version_of('acme/painter')}"


@pytest_asyncio.fixture(scope="module")
async def fake() -> FakeReplicate:
    """Give the memory of the module's fake Replicate."""
    return FakeReplicate()


@pytest_asyncio.fixture(scope="module")
async def url(fake: FakeReplicate) -> AsyncIterator[str]:
    """Serve the fake Replicate on loopback and give its base URL."""
    async with serving(fake.app()) as url:
        yield url


@pytest_asyncio.fixture
async def provider(url: str) -> AsyncIterator[ReplicateProvider]:
    """Give a provider whose server is the fake."""
    provider = ReplicateProvider(KEY, url, pace=PACE)
    yield provider
    await provider.close()


class Notes:
    """What a run remembers between attempts."""

    def __init__(self) -> None:
        self.noted: list[str] = []

    async def note(self, name: str) -> None:
        """Remember."""
        self.noted.append(name)


async def _payload(provider: ReplicateProvider, model: str = "acme/painter", **given: Any) -> dict[str, Any]:
    attachments = given.pop("attached", [])
    intent = CallIntent(**{"provider": "replicate", "model": model, "operation": "predict", "prompt": "A cat", **given})
    return await provider.create_payload(intent, None, attachments)


def _call(shelves: MemoryShelves | None = None, attempt: int = 1, **given: Any) -> Call:
    artifacts = (shelves or MemoryShelves()).of("acme")
    return Call("predict", None, attempt, f"work-1:{attempt}", artifacts, **given)


async def _ask(
    provider: ReplicateProvider, model: str = "acme/painter", shelves: MemoryShelves | None = None, **given: Any
) -> Audit:
    payload = await _payload(provider, model, **given)
    answer = await provider.execute(payload, _call(shelves))
    assert answer.request_id
    return await provider.audit_response("predict", payload, answer.raw)


async def test_images_are_kept_as_artifacts(provider: ReplicateProvider) -> None:
    """Fetched without the token, and named by refs of the store."""
    shelves = MemoryShelves()
    audit = await _ask(provider, shelves=shelves, parameters={"num_outputs": 2})
    assert len(audit.response["files"]) == 2
    kept, body = await shelves.of("acme").read(audit.response["files"][0]) or pytest.fail("kept nowhere")
    assert kept.media_type == "image/png"
    assert Image.open(io.BytesIO(body)).size == (64, 64)
    assert audit.signals.response_quality == 1.0


async def test_a_text_that_comes_in_pieces_is_one_text(provider: ReplicateProvider) -> None:
    """As the version's schema says that it is to be shown."""
    audit = await _ask(provider, "acme/writer")
    assert audit.response == {"text": "The fake heard 5 characters."}
    assert audit.usage["output_token_count"] == 4


async def test_what_is_neither_text_nor_file_comes_as_it_is(provider: ReplicateProvider) -> None:
    """Whatever its shape."""
    audit = await _ask(provider, "acme/mixer")
    assert audit.response == {"output": {"label": "A cat", "score": 0.5, "references": 0}}


async def test_the_schema_is_the_model_s_own(provider: ReplicateProvider) -> None:
    """Without references, bound to the version that was looked up, and issues come from it."""
    payload = await _payload(provider, parameters={"aspect_ratio": "3:2 ", "num_outputs": 9, "num_output": 1})
    assert payload["version"] == PAINTER
    document = (await provider.schema_for("predict", payload)).document
    assert document["properties"]["version"]["const"] == PAINTER
    fields = document["properties"]["input"]["properties"]
    assert fields["aspect_ratio"]["enum"] == ["1:1", "3:2", "2:3"]
    assert fields["seed"]["type"] == ["integer", "null"]
    issues = {issue.path: issue for issue in await provider.validate_payload("predict", payload)}
    assert issues["/input/num_outputs"].automatic_fix == {"input": {"num_outputs": 4}}
    assert issues["/input/aspect_ratio"].automatic_fix == {"input": {"aspect_ratio": "3:2"}}
    assert issues["/input/num_output"].code == "parameter_unknown"


async def test_a_run_is_prepared_with_the_model_s_schema(provider: ReplicateProvider) -> None:
    """A reviewer's edit is held to what this version takes; an agent tool's version is the one that is asked."""
    tool = {"name": "flux", "latest_version": PAINTER}
    order = a_prepare_order(
        provider="replicate", model="flux", prompt="A cat", tool=tool, parameters={"num_outputs": 2}
    )
    prepared = await prepare(order, provider, Registry([provider]), MemoryShelves(), Sanitizer())
    assert prepared.payload == {"version": PAINTER, "input": {"num_outputs": 2, "prompt": "A cat"}}
    assert prepared.payload_schema["properties"]["input"]["properties"]["num_outputs"]["maximum"] == 4
    assert prepared.issues == ()


async def test_exactly_the_payload_is_posted(provider: ReplicateProvider, fake: FakeReplicate) -> None:
    """A version to one path, an official model by its name to another."""
    painted = await _payload(provider, parameters={"seed": 7})
    await provider.execute(painted, _call())
    assert fake.bodies[-1] == painted == {"version": PAINTER, "input": {"prompt": "A cat", "seed": 7}}
    written = await _payload(provider, "acme/writer")
    before = fake.calls["/v1/models/acme/writer/predictions"]
    await provider.execute(written, _call())
    assert written == {"model": "acme/writer", "input": {"prompt": "A cat"}}
    assert fake.bodies[-1] == {"input": {"prompt": "A cat"}}
    assert fake.calls["/v1/models/acme/writer/predictions"] == before + 1


async def test_small_files_go_in_place_and_large_ones_are_uploaded(
    provider: ReplicateProvider, fake: FakeReplicate
) -> None:
    """At the call alone: the payload that is approved names the artifacts."""
    shelves = MemoryShelves()
    small = await shelves.of("acme").keep(b"small", "image/png")
    large = await shelves.of("acme").keep(b"x" * 256_001, "image/png")
    attached = [Attachment(small, "image/png", 5), Attachment(large, "image/png", 256_001)]
    payload = await _payload(provider, attached=attached)
    assert payload["input"] == {"prompt": "A cat", "image": small, "mask": large}
    await provider.execute(payload, _call(shelves))
    sent = fake.bodies[-1]["input"]
    assert sent["image"] == "data:image/png;base64,c21hbGw="
    assert fake.files[sent["mask"].rsplit("/", 1)[1]].body == b"x" * 256_001


async def test_an_artifact_that_is_gone_stops_the_call(provider: ReplicateProvider, fake: FakeReplicate) -> None:
    """Before anything is bought."""
    before = fake.calls.total()
    with pytest.raises(ProviderError) as failed:
        await provider.execute({"version": PAINTER, "input": {"image": "artifact:sha256:" + "0" * 64}}, _call())
    assert (failed.value.failure.code, failed.value.failure.uncertain) == ("artifact_missing", False)
    assert fake.calls.total() == before


FAULTS = [
    # what the server does, what it means, whether to try again, whether it may have happened
    ("402", "quota_exceeded", False, False),
    ("403", "forbidden", False, False),
    ("404", "not_found", False, False),
    ("422", "request_refused", False, False),
    ("429", "rate_limited", True, False),
    ("429_body", "rate_limited", True, False),
    ("500", "provider_error", True, False),
    ("503", "provider_error", True, False),
    ("504", "timeout", True, True),
    ("reset", "connection_lost", True, True),
    ("malformed", "malformed_response", False, False),
    ("huge", "response_too_large", False, False),
    ("fails", "prediction_failed", False, False),
    ("nsfw", "content_filtered", False, False),
    ("canceled", "prediction_canceled", False, False),
    ("aborted", "prediction_aborted", False, False),
    ("empty", "empty_response", False, False),
    ("removed", "result_expired", False, False),
    ("blind", "provider_error", True, True),
    ("lost", "not_found", False, False),
    ("torn", "connection_lost", True, True),
    ("huge_output", "response_too_large", False, False),
]


@pytest.mark.parametrize(
    ("fault", "code", "retryable", "uncertain"),
    [
        pytest.param(*row, id=f"{row[0]}: {row[1]}{', try again' * row[2]}{', may have happened' * row[3]}")
        for row in FAULTS
    ],
)
async def test_each_fault_of_the_server_has_its_outcome(
    provider: ReplicateProvider, fake: FakeReplicate, fault: str, code: str, *, retryable: bool, uncertain: bool
) -> None:
    """And the SDK never tries again by itself: one call reaches the server."""
    before = fake.calls.total()
    with pytest.raises(ProviderError) as failed:
        await _ask(provider, prompt=f"[fault:{fault}]")
    failure = failed.value.failure
    assert (failure.code, failure.retryable, failure.uncertain) == (code, retryable, uncertain)
    assert "127.0.0.1" not in failure.model_dump_json()
    assert fake.calls.total() == before + 1


async def test_a_server_that_never_answers_may_have_been_called(url: str, fake: FakeReplicate) -> None:
    """Reading ends in time, which the SDK alone would not see to."""
    provider = ReplicateProvider(KEY, url, pace=PACE, read_seconds=0.2)
    before = fake.calls.total()
    with pytest.raises(ProviderError) as failed:
        await _ask(provider, prompt="[fault:hang]")
    assert (failed.value.failure.code, failed.value.failure.uncertain) == ("timeout", True)
    assert fake.calls.total() == before + 1
    await provider.close()


async def test_a_prediction_that_never_ends_is_known(url: str) -> None:
    """Its end is not known, and its name is: the next attempt asks about it."""
    provider = ReplicateProvider(KEY, url, pace=Pace(first=0.001, longest=0.01, patience=0.05))
    notes = Notes()
    with pytest.raises(ProviderError) as failed:
        await provider.execute(await _payload(provider, prompt="[fault:stuck]"), _call(note=notes.note))
    failure = failed.value.failure
    assert (failure.code, failure.retryable, failure.uncertain) == ("timeout", True, True)
    assert notes.noted[0] in failure.message
    await provider.close()


async def test_a_second_attempt_after_the_worker_died_buys_nothing(
    url: str, provider: ReplicateProvider, fake: FakeReplicate
) -> None:
    """The first worker dies while it waits; another, which never saw the model, resumes what was noted."""
    payload = await _payload(provider, "acme/writer", prompt="Resume me")
    before = fake.calls.total()

    class Killed(BaseException):
        pass

    class Dying(Notes):
        async def note(self, name: str) -> None:
            await super().note(name)
            raise Killed

    notes = Dying()
    with pytest.raises(Killed):
        await provider.execute(payload, _call(note=notes.note))
    other = ReplicateProvider(KEY, url, pace=PACE)
    answer = await other.execute(payload, _call(attempt=2, resume=notes.noted[0], note=notes.note))
    audit = await other.audit_response("predict", payload, answer.raw)
    assert audit.response["text"] == "The fake heard 9 characters."
    assert answer.request_id == notes.noted[0]
    assert fake.calls.total() == before + 1
    await other.close()


async def test_an_output_that_was_torn_is_fetched_again_by_resuming(
    provider: ReplicateProvider, fake: FakeReplicate
) -> None:
    """Both attempts know the prediction, and one is bought."""
    payload = await _payload(provider, prompt="[fault:torn]")
    notes, before = Notes(), fake.calls.total()
    for resume in (None, True):
        with pytest.raises(ProviderError) as failed:
            await provider.execute(payload, _call(note=notes.note, resume=resume and notes.noted[0]))
        failure = failed.value.failure
        assert (failure.code, failure.retryable, failure.uncertain) == ("connection_lost", True, True)
    assert len(notes.noted) == 1
    assert fake.calls.total() == before + 1


@pytest.mark.parametrize("fault", ["look_429", "look_500", "look_reset", "look_malformed"])
async def test_a_look_that_fails_is_taken_again(provider: ReplicateProvider, fake: FakeReplicate, fault: str) -> None:
    """It costs nothing; the prediction is still the same."""
    before = fake.calls.total()
    assert (await _ask(provider, prompt=f"[fault:{fault}]")).response["files"]
    assert fake.calls.total() == before + 1


async def test_a_look_that_is_refused_leaves_the_prediction_open(provider: ReplicateProvider) -> None:
    """A token that has expired meanwhile ends the attempt, and not the prediction: resuming finds its end."""
    payload, notes = await _payload(provider, prompt="[fault:look_403]"), Notes()
    for _ in range(2):
        with pytest.raises(ProviderError) as failed:
            await provider.execute(payload, _call(note=notes.note, resume=notes.noted[0] if notes.noted else None))
        assert (failed.value.failure.code, failed.value.failure.uncertain) == ("forbidden", True)
    answer = await provider.execute(payload, _call(resume=notes.noted[0]))
    assert answer.request_id == notes.noted[0]


async def test_a_slow_server_is_waited_for(provider: ReplicateProvider) -> None:
    """It answers after a second."""
    assert (await _ask(provider, prompt="[fault:slow]")).response["files"]


@pytest.mark.parametrize(("fault", "seconds"), [("429", 7), ("429_body", 5)])
async def test_a_429_says_when_to_come_back(provider: ReplicateProvider, fault: str, seconds: int) -> None:
    """In its header, or in its body, which the SDK's errors both forget."""
    with pytest.raises(ProviderError) as failed:
        await _ask(provider, prompt=f"[fault:{fault}]")
    assert failed.value.failure.retry_after == seconds


async def test_the_limits_are_kept(provider: ReplicateProvider) -> None:
    """From the headers of the answers."""
    assert await provider.get_rate_limit_status() is None
    await _ask(provider)
    limits = (await provider.get_capabilities()).rate_limit
    assert limits is not None
    assert set(limits) == {"remaining", "reset"}


async def test_a_refused_input_names_its_fields(provider: ReplicateProvider) -> None:
    """As the server does."""
    payload = await _payload(provider)
    with pytest.raises(ProviderError) as failed:
        await provider.execute({**payload, "input": {"prompt": 7}}, _call())
    failure = failed.value.failure
    assert (failure.code, failure.status) == ("request_refused", 422)
    assert [issue.path for issue in failure.issues] == ["/input"]


async def test_a_wrong_token_is_told_without_showing_it(url: str) -> None:
    """The server repeats the token in its error; the failure does not."""
    provider = ReplicateProvider("wrong-key", url)
    with pytest.raises(ProviderError) as failed:
        await _payload(provider)
    assert failed.value.failure.code == "auth_failed"
    assert "wrong-key" not in failed.value.failure.model_dump_json()
    await provider.close()


@pytest.mark.parametrize("model", ["acme/nobody", f"acme/painter:{'0' * 64}"])
async def test_a_model_that_is_not_there_is_named_before_anything_costs(
    provider: ReplicateProvider, fake: FakeReplicate, model: str
) -> None:
    """At the intent's model, so that a person can choose another."""
    before = fake.calls.total()
    with pytest.raises(ProviderError) as failed:
        await _payload(provider, model)
    failure = failed.value.failure
    assert (failure.code, failure.issues[0].path, failure.uncertain) == ("model_unknown", "/model", False)
    assert fake.calls.total() == before


async def test_a_look_up_that_finds_nobody_was_no_call() -> None:
    """So trying again is safe."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    provider = ReplicateProvider(None, f"http://127.0.0.1:{port}")
    with pytest.raises(ProviderError) as failed:
        await _payload(provider)
    failure = failed.value.failure
    assert (failure.code, failure.retryable, failure.uncertain) == ("connection_failed", True, False)
    await provider.close()


async def test_no_address_of_the_provider_s_is_shown(provider: ReplicateProvider) -> None:
    """Neither in the answer nor in what is kept of it."""
    payload = await _payload(provider)
    answer = await provider.execute(payload, _call())
    audit = await provider.audit_response("predict", payload, answer.raw)
    shown = json.dumps([answer.raw, audit.response])
    assert "://" not in shown
    assert answer.raw.keys().isdisjoint({"urls", "input"})
    assert KEY not in shown


async def test_a_prediction_is_priced_by_the_operator_s_table(url: str, tmp_path: Path) -> None:
    """By the image here, by tokens there; without a price nothing is claimed."""
    table = {"acme/painter": {"image": "0.003"}, "acme/writer": {"input": "1", "output": "5"}}
    own = tmp_path / "prices.json"
    own.write_text(json.dumps({"replicate": table}))
    provider = ReplicateProvider(KEY, url, own, PACE)
    payload = await _payload(provider, parameters={"num_outputs": 3})
    assert await provider.estimate_cost("predict", payload) == Decimal("0.009")
    assert (await _ask(provider, parameters={"num_outputs": 3})).cost == Decimal("0.009")
    assert (await _ask(provider, "acme/writer", prompt="x" * 40)).cost == (10 * 1 + 4 * 5) / Decimal(1_000_000)
    assert (await _ask(provider, "acme/mixer")).cost is None
    await provider.close()


async def test_the_fake_speaks_the_sdk_s_protocol(url: str) -> None:
    """Read with the SDK's own types, whatever this provider makes of it."""
    client = Client("any", base_url=url)
    model = await client.models.async_get("acme/painter")
    assert model.latest_version is not None
    assert (await model.versions.async_get(version_of("acme/painter"))).id == version_of("acme/painter")
    prediction = await client.predictions.async_create(version=PAINTER, input={"prompt": "A cat"})
    states = [prediction.status]
    while prediction.output is None:
        await prediction.async_reload()
        states.append(prediction.status)
    assert states == ["starting", "processing", "succeeded"]
    assert prediction.metrics is not None
    again = await client.predictions.async_create(version=version_of("acme/painter"), input={"prompt": "A dog"})
    assert (await client.predictions.async_cancel(again.id)).status == "canceled"
    await client._async_client.aclose()
