"""Replicate's predictions while they run, over HTTP on loopback: a language model's text comes in pieces, and one can be canceled."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from contracts.providers.call import Spent
from fake_vendors.replicate import FakeReplicate
from fake_vendors.replicate.models import version_of
from provider_worker.providers.base import ProviderError
from provider_worker.providers.progress import Unfinished
from provider_worker.providers.replicate import ReplicateProvider

from .listening import Listener
from .predictions import KEY, PACE, Notes

FAKE = FakeReplicate
"""The fake vendor of this module's tests."""

TABLE = {"acme/painter": {"image": "0.003"}, "acme/writer": {"second": "0.002"}, "acme/listener": {"second": "0.001"}}


@pytest_asyncio.fixture
async def provider(url: str, tmp_path: Path) -> AsyncIterator[ReplicateProvider]:
    """Give a provider whose server is the fake, and whose operator has stated prices."""
    own = tmp_path / "prices.json"
    own.write_text(json.dumps({"replicate": TABLE}))
    provider = ReplicateProvider(KEY, url, own, PACE)
    yield provider
    await provider.close()


def _to_the_writer(prompt: str = "A cat") -> dict[str, Any]:
    return {"model": "acme/writer", "input": {"prompt": prompt}}


def _to_the_painter(prompt: str = "A cat") -> dict[str, Any]:
    return {"version": version_of("acme/painter"), "input": {"prompt": prompt}}


async def _begun(provider: ReplicateProvider, payload: Mapping[str, Any], until_heard: str) -> Unfinished:
    """Begin a prediction, wait until it has said something, and give the call up."""
    notes, listener = Notes(), Listener("predict")
    unfinished = await listener.cut_short(
        provider, payload, lambda: listener.text.startswith(until_heard), note=notes.note
    )
    return Unfinished("predict", None, payload, unfinished.characters, unfinished.usage, notes.noted[0])


async def test_what_a_language_model_says_is_heard_while_it_runs(provider: ReplicateProvider) -> None:
    """Piece by piece, from look to look; together it is the answer."""
    listener, payload = Listener("predict"), _to_the_writer()
    answer = await provider.execute(payload, listener.call())
    audit = await provider.audit_response("predict", payload, answer.raw)
    assert listener.heard == ["The fake", " heard", " 5", " characters."]
    assert listener.text == audit.response["text"]


async def test_what_was_said_before_a_look_failed_is_said_once(provider: ReplicateProvider) -> None:
    """And an attempt that asks about a prediction hears it all, since its watchers did not."""
    listener, notes = Listener("predict"), Notes()
    payload = _to_the_writer("[fault:look_503]")
    await provider.execute(payload, listener.call(note=notes.note))
    assert listener.text == "The fake heard 16 characters."
    again = Listener("predict")
    await provider.execute(payload, again.call(resume=notes.noted[0]))
    assert again.heard == ["The fake heard 16 characters."]


async def test_files_are_no_text(provider: ReplicateProvider) -> None:
    """Watchers do not get their addresses."""
    listener = Listener("predict")
    await provider.execute(_to_the_painter(), listener.call())
    assert listener.heard == []


async def test_a_prediction_is_canceled_and_its_seconds_are_paid(
    provider: ReplicateProvider, fake: FakeReplicate
) -> None:
    """By its own metrics; canceling twice does no harm."""
    before = fake.others["canceled"]
    unfinished = await _begun(provider, _to_the_writer("[fault:stuck]"), "The fake")
    spent = [await provider.stop(unfinished) for _ in range(2)]
    assert spent == [Spent(usage={"predict_time": 0.5}, cost=Decimal("0.001"))] * 2
    assert fake.others["canceled"] == before + 1


async def test_whoever_knows_no_more_than_its_name_can_cancel_it(provider: ReplicateProvider) -> None:
    """Its worker died with the payload; the prediction says which model it is of."""
    unfinished = await _begun(provider, _to_the_writer("[fault:stuck]"), "The fake")
    spent = await provider.stop(Unfinished("predict", None, provider_call_id=unfinished.provider_call_id))
    assert spent.cost == Decimal("0.001")


async def test_one_that_succeeded_meanwhile_costs_what_it_cost(
    provider: ReplicateProvider, fake: FakeReplicate
) -> None:
    """It was too late to cancel it."""
    notes, before = Notes(), fake.others["canceled"]
    for payload in (_to_the_writer(), _to_the_painter()):
        await provider.execute(payload, Listener("predict").call(note=notes.note))
    spent = [
        await provider.stop(Unfinished("predict", None, payload, provider_call_id=name))
        for name, payload in zip(notes.noted, (_to_the_writer(), None), strict=True)
    ]
    assert [one.cost for one in spent] == [Decimal("0.0025"), Decimal("0.003")]
    assert fake.others["canceled"] == before


async def test_one_that_never_ran_cost_nothing(url: str, provider: ReplicateProvider, fake: FakeReplicate) -> None:
    """It was canceled while it waited for its turn, and the fake counts it with its calls."""
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers) as http:
        made = (await http.post("/v1/predictions", json=_to_the_painter())).json()
        assert await provider.stop(Unfinished("predict", None, provider_call_id=made["id"])) == Spent(cost=Decimal(0))
        assert (await http.get("/_calls")).json()["canceled"] == fake.others["canceled"] > 0


async def test_without_a_name_nothing_was_begun_as_far_as_is_known(provider: ReplicateProvider) -> None:
    """There is nothing that could be canceled, and nothing is claimed."""
    assert await provider.stop(Unfinished("predict", None, _to_the_writer())) == Spent()


async def test_a_cancellation_that_fails_is_asked_for_again(provider: ReplicateProvider, fake: FakeReplicate) -> None:
    """Each second costs."""
    before = fake.others["canceled"]
    unfinished = await _begun(provider, _to_the_writer("[fault:uncanceled]"), "The")
    await provider.stop(unfinished)
    assert fake.others["canceled"] == before + 1


async def test_a_prediction_that_nobody_knows_cannot_be_canceled(provider: ReplicateProvider) -> None:
    """The cost is unknown then."""
    with pytest.raises(ProviderError) as failed:
        await provider.stop(Unfinished("predict", None, provider_call_id="nobody"))
    assert failed.value.failure.code == "not_found"


async def test_one_that_was_canceled_by_somebody_is_over(provider: ReplicateProvider) -> None:
    """The waiting worker gets a final answer, and does not buy another prediction."""
    unfinished = await _begun(provider, _to_the_writer("[fault:stuck]"), "The fake")
    await provider.stop(unfinished)
    with pytest.raises(ProviderError) as failed:
        await provider.execute(_to_the_writer(), Listener("predict").call(resume=unfinished.provider_call_id))
    failure = failed.value.failure
    assert (failure.code, failure.retryable, failure.uncertain) == ("prediction_canceled", False, False)
