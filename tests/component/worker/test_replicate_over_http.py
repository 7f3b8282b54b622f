"""The real SDK against the fake Replicate, over HTTP on loopback."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image
from replicate.client import Client

from fake_vendors.replicate import FakeReplicate
from fake_vendors.replicate.models import version_of
from provider_worker.preparation.prepare import Preparer
from provider_worker.providers.base import Attachment
from provider_worker.providers.registry import Registry
from provider_worker.providers.replicate import ReplicateProvider
from provider_worker.sanitizer import Sanitizer
from provider_worker.testing.memory import MemoryArtifacts
from testkit.worker.orders import a_prepare_order

from .predictions import KEY, PACE, PAINTER, a_call, a_payload, ask

FAKE = FakeReplicate
"""The fake vendor of this module's tests."""


@pytest_asyncio.fixture
async def provider(url: str) -> AsyncIterator[ReplicateProvider]:
    """Give a provider whose server is the fake."""
    provider = ReplicateProvider(KEY, url, schedule=PACE)
    yield provider
    await provider.close()


async def test_images_are_kept_as_artifacts(provider: ReplicateProvider) -> None:
    """Fetched without the token, and named by refs of the store."""
    artifacts = MemoryArtifacts()
    audit = await ask(provider, artifacts=artifacts, parameters={"num_outputs": 2})
    assert len(audit.response["files"]) == 2
    kept, body = await artifacts.of("acme").read(audit.response["files"][0]) or pytest.fail("kept nowhere")
    assert kept.media_type == "image/png"
    assert Image.open(io.BytesIO(body)).size == (64, 64)
    assert audit.signals.response_quality == 1.0


async def test_a_text_that_comes_in_pieces_is_one_text(provider: ReplicateProvider) -> None:
    """As the version's schema says that it is to be shown."""
    audit = await ask(provider, "acme/writer")
    assert audit.response == {"text": "The fake heard 5 characters."}
    assert audit.usage["output_token_count"] == 4


async def test_what_is_neither_text_nor_file_comes_as_it_is(provider: ReplicateProvider) -> None:
    """In any shape."""
    audit = await ask(provider, "acme/mixer")
    assert audit.response == {"output": {"label": "A cat", "score": 0.5, "references": 0}}


async def test_the_schema_is_the_model_s_own(provider: ReplicateProvider) -> None:
    """Without references, bound to the version that was looked up, and issues come from it."""
    payload = await a_payload(provider, parameters={"aspect_ratio": "3:2 ", "num_outputs": 9, "num_output": 1})
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
    prepared = await Preparer(Registry([provider]), MemoryArtifacts(), Sanitizer()).prepare(order)
    assert prepared.payload == {"version": PAINTER, "input": {"num_outputs": 2, "prompt": "A cat"}}
    assert prepared.payload_schema["properties"]["input"]["properties"]["num_outputs"]["maximum"] == 4
    assert prepared.issues == ()


async def test_exactly_the_payload_is_posted(provider: ReplicateProvider, fake: FakeReplicate) -> None:
    """A version to one path, an official model by its name to another."""
    painted = await a_payload(provider, parameters={"seed": 7})
    await provider.execute(painted, a_call())
    assert fake.bodies[-1] == painted == {"version": PAINTER, "input": {"prompt": "A cat", "seed": 7}}
    written = await a_payload(provider, "acme/writer")
    before = fake.calls["/v1/models/acme/writer/predictions"]
    await provider.execute(written, a_call())
    assert written == {"model": "acme/writer", "input": {"prompt": "A cat"}}
    assert fake.bodies[-1] == {"input": {"prompt": "A cat"}}
    assert fake.calls["/v1/models/acme/writer/predictions"] == before + 1


async def test_small_files_go_in_place_and_large_ones_are_uploaded(
    provider: ReplicateProvider, fake: FakeReplicate
) -> None:
    """At the call alone: the payload that is approved names the artifacts."""
    artifacts = MemoryArtifacts()
    small = await artifacts.of("acme").keep(b"small", "image/png")
    large = await artifacts.of("acme").keep(b"x" * 256_001, "image/png")
    attached = [Attachment(small, "image/png", 5), Attachment(large, "image/png", 256_001)]
    payload = await a_payload(provider, attached=attached)
    assert payload["input"] == {"prompt": "A cat", "image": small, "mask": large}
    await provider.execute(payload, a_call(artifacts))
    sent = fake.bodies[-1]["input"]
    assert sent["image"] == "data:image/png;base64,c21hbGw="
    assert fake.files[sent["mask"].rsplit("/", 1)[1]].body == b"x" * 256_001


async def test_a_slow_server_is_waited_for(provider: ReplicateProvider) -> None:
    """It answers after a second."""
    assert (await ask(provider, prompt="[fault:slow]")).response["files"]


async def test_the_limits_are_kept(provider: ReplicateProvider) -> None:
    """From the headers of the answers."""
    assert await provider.get_rate_limit_status() is None
    await ask(provider)
    limits = (await provider.get_capabilities()).rate_limit
    assert limits is not None
    assert set(limits) == {"remaining", "reset"}


async def test_no_address_of_the_provider_s_is_shown(provider: ReplicateProvider) -> None:
    """Neither in the answer nor in the kept part of it."""
    payload = await a_payload(provider)
    answer = await provider.execute(payload, a_call())
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
    payload = await a_payload(provider, parameters={"num_outputs": 3})
    assert await provider.estimate_cost("predict", payload) == Decimal("0.009")
    assert (await ask(provider, parameters={"num_outputs": 3})).cost == Decimal("0.009")
    assert (await ask(provider, "acme/writer", prompt="x" * 40)).cost == (10 * 1 + 4 * 5) / Decimal(1_000_000)
    assert (await ask(provider, "acme/mixer")).cost is None
    await provider.close()


async def test_the_fake_speaks_the_sdk_s_protocol(url: str) -> None:
    """Read with the SDK's own types, without this provider."""
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
