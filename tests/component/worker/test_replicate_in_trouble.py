"""The real SDK against a fake Replicate that refuses, breaks off, hangs, or loses predictions."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from fake_vendors.replicate import FakeReplicate
from fake_vendors.replicate.models import version_of
from provider_worker.providers.base import Audit, ProviderError
from provider_worker.providers.remote_job import PollSchedule
from provider_worker.providers.replicate import ReplicateProvider

from .predictions import FILES, KEY, PACE, PAINTER, Notes, a_call, a_payload, ask
from .vendors import hanging_up, nobody_listening

FAKE = FakeReplicate
"""The fake vendor of this module's tests."""


@pytest_asyncio.fixture
async def provider(url: str) -> AsyncIterator[ReplicateProvider]:
    """Give a provider whose server is the fake."""
    provider = ReplicateProvider(KEY, url, schedule=PACE, files=FILES)
    yield provider
    await provider.close()


async def test_an_artifact_that_is_gone_stops_the_call(provider: ReplicateProvider, fake: FakeReplicate) -> None:
    """Before anything is bought."""
    before = fake.calls.total()
    with pytest.raises(ProviderError) as failed:
        await provider.execute({"version": PAINTER, "input": {"image": "artifact:sha256:" + "0" * 64}}, a_call())
    assert (failed.value.failure.code, failed.value.failure.uncertain) == ("artifact_missing", False)
    assert fake.calls.total() == before


FAULTS = [
    # fault, code, retryable, uncertain, number of predictions begun
    ("nobody listens", "connection_failed", True, False, 0),
    ("hung up", "connection_lost", True, True, 0),
    ("hang", "timeout", True, True, 1),
    ("wrong token", "auth_failed", False, False, 0),
    ("401", "auth_failed", False, False, 1),
    ("402", "quota_exceeded", False, False, 1),
    ("403", "forbidden", False, False, 1),
    ("404", "not_found", False, False, 1),
    ("422", "request_refused", False, False, 1),
    ("429", "rate_limited", True, False, 1),
    ("429_body", "rate_limited", True, False, 1),
    ("500", "provider_error", True, False, 1),
    ("502", "provider_error", True, False, 1),
    ("503", "provider_error", True, False, 1),
    ("504", "timeout", True, True, 1),
    ("reset", "connection_lost", True, True, 1),
    ("malformed", "malformed_response", False, False, 1),
    ("huge", "response_too_large", False, False, 1),
    ("fails", "prediction_failed", False, False, 1),
    ("nsfw", "content_filtered", False, False, 1),
    ("canceled", "prediction_canceled", False, False, 1),
    ("aborted", "prediction_aborted", False, False, 1),
    ("stuck", "timeout", True, True, 1),
    ("empty", "empty_response", False, False, 1),
    ("removed", "result_expired", False, False, 1),
    ("blind", "provider_error", True, True, 1),
]
OF_FILES = [
    ("torn", "output_unavailable", True, True, 1),
    ("broken_host", "output_unavailable", True, True, 1),
]
MODELS = {"a painter": {"version": version_of("acme/painter")}, "a writer": {"model": "acme/writer"}}


@contextlib.asynccontextmanager
async def _facing(fault: str, url: str) -> AsyncIterator[ReplicateProvider]:
    """Give a provider whose call meets the fault: one of the network or the token, or one that the fake plays."""
    async with contextlib.AsyncExitStack() as stack:
        match fault:
            case "wrong token":
                provider = ReplicateProvider("wrong-key", url, schedule=PACE)
            case "nobody listens":
                provider = ReplicateProvider(None, nobody_listening(), schedule=PACE)
            case "hung up":
                provider = ReplicateProvider(None, await stack.enter_async_context(hanging_up()), schedule=PACE)
            case "hang" | "stuck":
                provider = ReplicateProvider(KEY, url, schedule=replace(PACE, patience=0.2), read_seconds=0.2)
            case _:
                provider = ReplicateProvider(KEY, url, schedule=PACE, files=FILES)
        stack.push_async_callback(provider.close)
        yield provider


async def _asked(provider: ReplicateProvider, payload: dict[str, Any]) -> Audit:
    answer = await provider.execute(payload, a_call())
    return await provider.audit_response("predict", payload, answer.raw)


@pytest.mark.parametrize(
    ("model", "fault", "code", "retryable", "uncertain", "begun"),
    [
        pytest.param(
            model, *row, id=f"{model}, {row[0]}: {row[1]}{', try again' * row[2]}{', may have happened' * row[3]}"
        )
        for model, rows in (("a painter", [*FAULTS, *OF_FILES]), ("a writer", FAULTS))
        for row in rows
    ],
)
async def test_each_fault_has_its_outcome(
    url: str, fake: FakeReplicate, model: str, fault: str, code: str, begun: int, *, retryable: bool, uncertain: bool
) -> None:
    """And the SDK never tries again by itself: one call at most reaches the server."""
    before = fake.calls.total()
    payload = {**MODELS[model], "input": {"prompt": f"[fault:{fault}]"}}
    async with _facing(fault, url) as provider:
        with pytest.raises(ProviderError) as failed:
            await _asked(provider, payload)
    failure = failed.value.failure
    assert (failure.code, failure.retryable, failure.uncertain) == (code, retryable, uncertain)
    assert "127.0.0.1" not in failure.model_dump_json()
    assert "wrong-key" not in failure.model_dump_json()
    assert fake.calls.total() == before + begun


async def test_a_prediction_that_never_ends_is_known(url: str) -> None:
    """Its end is not known, and its name is: the next attempt asks about it."""
    provider = ReplicateProvider(KEY, url, schedule=PollSchedule(first=0.001, longest=0.01, patience=0.05))
    notes = Notes()
    with pytest.raises(ProviderError) as failed:
        await provider.execute(await a_payload(provider, prompt="[fault:stuck]"), a_call(note=notes.note))
    failure = failed.value.failure
    assert (failure.code, failure.retryable, failure.uncertain) == ("timeout", True, True)
    assert notes.noted[0] in failure.message
    await provider.close()


async def test_a_second_attempt_after_the_worker_died_buys_nothing(
    url: str, provider: ReplicateProvider, fake: FakeReplicate
) -> None:
    """The first worker dies while it waits; another, which never saw the model, resumes the noted prediction."""
    payload = await a_payload(provider, "acme/writer", prompt="Resume me")
    before = fake.calls.total()

    class Killed(BaseException):
        pass

    class Dying(Notes):
        async def note(self, name: str) -> None:
            await super().note(name)
            raise Killed

    notes = Dying()
    with pytest.raises(Killed):
        await provider.execute(payload, a_call(note=notes.note))
    other = ReplicateProvider(KEY, url, schedule=PACE)
    answer = await other.execute(payload, a_call(attempt=2, resume=notes.noted[0], note=notes.note))
    audit = await other.audit_response("predict", payload, answer.raw)
    assert audit.response["text"] == "The fake heard 9 characters."
    assert answer.request_id == notes.noted[0]
    assert fake.calls.total() == before + 1
    await other.close()


async def test_an_output_that_was_torn_is_fetched_again_by_resuming(
    provider: ReplicateProvider, fake: FakeReplicate
) -> None:
    """Both attempts know the prediction, and one is bought."""
    payload = await a_payload(provider, prompt="[fault:torn]")
    notes, before = Notes(), fake.calls.total()
    for resume in (None, True):
        with pytest.raises(ProviderError) as failed:
            await provider.execute(payload, a_call(note=notes.note, resume=resume and notes.noted[0]))
        failure = failed.value.failure
        assert (failure.code, failure.retryable, failure.uncertain) == ("output_unavailable", True, True)
    assert len(notes.noted) == 1
    assert fake.calls.total() == before + 1


@pytest.mark.parametrize("fault", ["look_429", "look_500", "look_reset", "look_malformed"])
async def test_a_look_that_fails_is_taken_again(provider: ReplicateProvider, fake: FakeReplicate, fault: str) -> None:
    """It costs nothing; the prediction is still the same."""
    before = fake.calls.total()
    assert (await ask(provider, prompt=f"[fault:{fault}]")).response["files"]
    assert fake.calls.total() == before + 1


async def test_a_look_that_is_refused_leaves_the_prediction_open(provider: ReplicateProvider) -> None:
    """A token that has expired meanwhile ends the attempt, and not the prediction: resuming finds its end."""
    payload, notes = await a_payload(provider, prompt="[fault:look_403]"), Notes()
    for _ in range(2):
        with pytest.raises(ProviderError) as failed:
            await provider.execute(payload, a_call(note=notes.note, resume=notes.noted[0] if notes.noted else None))
        assert (failed.value.failure.code, failed.value.failure.uncertain) == ("forbidden", True)
    answer = await provider.execute(payload, a_call(resume=notes.noted[0]))
    assert answer.request_id == notes.noted[0]


@pytest.mark.parametrize(("fault", "seconds"), [("429", 7), ("429_body", 5)])
async def test_a_429_says_when_to_come_back(provider: ReplicateProvider, fault: str, seconds: int) -> None:
    """In its header, or in its body, which the SDK's errors both forget."""
    with pytest.raises(ProviderError) as failed:
        await ask(provider, prompt=f"[fault:{fault}]")
    assert failed.value.failure.retry_after == seconds


async def test_a_refused_input_names_its_fields(provider: ReplicateProvider) -> None:
    """As the server does."""
    payload = await a_payload(provider)
    with pytest.raises(ProviderError) as failed:
        await provider.execute({**payload, "input": {"prompt": 7}}, a_call())
    failure = failed.value.failure
    assert (failure.code, failure.status) == ("request_refused", 422)
    assert [issue.path for issue in failure.issues] == ["/input"]


async def test_a_wrong_token_is_told_without_showing_it(url: str) -> None:
    """The server repeats the token in its error; the failure does not."""
    provider = ReplicateProvider("wrong-key", url)
    with pytest.raises(ProviderError) as failed:
        await a_payload(provider)
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
        await a_payload(provider, model)
    failure = failed.value.failure
    assert (failure.code, failure.issues[0].path, failure.uncertain) == ("model_unknown", "/model", False)
    assert fake.calls.total() == before


async def test_a_look_up_that_finds_nobody_was_no_call() -> None:
    """So trying again is safe."""
    provider = ReplicateProvider(None, nobody_listening())
    with pytest.raises(ProviderError) as failed:
        await a_payload(provider)
    failure = failed.value.failure
    assert (failure.code, failure.retryable, failure.uncertain) == ("connection_failed", True, False)
    await provider.close()


async def test_a_prediction_that_replicate_knows_no_more_is_for_a_person(provider: ReplicateProvider) -> None:
    """It was begun and may be paid for; it cannot be asked about, and another one needs a person's word."""
    with pytest.raises(ProviderError) as gone:
        await provider.execute(await a_payload(provider), a_call(resume="unheard-of"))
    failure = gone.value.failure
    assert (failure.code, failure.uncertain, failure.retryable) == ("call_gone", True, False)
