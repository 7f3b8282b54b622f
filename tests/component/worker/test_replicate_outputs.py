"""A prediction that succeeded is one purchase, and is kept, however its files are delivered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from chassis.settings import Settings
from fake_vendors.replicate import FakeReplicate
from provider_worker.providers.base import Audit, ProviderError
from provider_worker.providers.payload_schema import CompiledSchema
from provider_worker.providers.replicate import ReplicateProvider
from provider_worker.testing.memory import MemoryArtifacts

from .predictions import FILES, KEY, PACE, Notes, a_call, a_payload

FAKE = FakeReplicate
"""The fake vendor of this module's tests."""


@pytest_asyncio.fixture
async def provider(url: str) -> AsyncIterator[ReplicateProvider]:
    """Give a provider whose server is the fake."""
    provider = ReplicateProvider(KEY, url, schedule=PACE, files=FILES)
    yield provider
    await provider.close()


async def _bought(
    provider: ReplicateProvider, prompt: str, artifacts: MemoryArtifacts, files: int = 1, attempt: int = 1
) -> Audit:
    payload = await a_payload(provider, prompt=prompt, parameters={"num_outputs": files})
    answer = await provider.execute(payload, a_call(artifacts, attempt))
    audit = await provider.audit_response("predict", payload, answer.raw)
    assert CompiledSchema(audit.schema).is_valid(audit.response)
    return audit


@pytest.mark.parametrize(("fault", "size"), [("large_output", 24 * 1024 * 1024), ("inline_output", 26 * 1024 * 1024)])
async def test_a_large_file_is_kept(provider: ReplicateProvider, fake: FakeReplicate, fault: str, size: int) -> None:
    """A file of 24 MiB, and one that comes within the prediction and can be had nowhere else."""
    artifacts, before = MemoryArtifacts(), fake.calls.total()
    audit = await _bought(provider, f"[fault:{fault}]", artifacts)
    kept = await artifacts.of("acme").find(audit.response["files"][0])
    assert kept is not None
    assert (kept.size, kept.media_type) == (size, "video/mp4")
    assert audit.signals.findings == ()
    assert fake.calls.total() == before + 1


UNKEPT = {
    "huge_output": "the artifact store takes",
    "told_large": "it has 1000000000 bytes",
    "lost": "answered with 404",
    "moved": "sends to another",
    "circling": "from one address to the next",
}


@pytest.mark.parametrize("fault", UNKEPT)
async def test_a_file_that_cannot_be_kept_is_named_by_its_link(
    provider: ReplicateProvider, fake: FakeReplicate, url: str, fault: str
) -> None:
    """A person gets the link and the reason, whatever the run's policy; the purchase counts once."""
    before = fake.calls.total()
    audit = await _bought(provider, f"[fault:{fault}]", MemoryArtifacts())
    assert audit.response["files"][0].startswith(f"{url}/delivery/")
    (finding,) = audit.signals.findings
    assert (finding.code, finding.force) == ("file_not_kept", True)
    assert UNKEPT[fault] in finding.message
    assert finding.data["not_kept"][0]["url"] == audit.response["files"][0]
    assert fake.calls.total() == before + 1


async def test_a_file_that_never_ends_is_given_up(url: str) -> None:
    """After a time that is bound for all files together."""
    provider = ReplicateProvider(KEY, url, schedule=PACE, files=replace(FILES, seconds=0.3))
    audit = await _bought(provider, "[fault:lasting]", MemoryArtifacts(), files=3)
    assert len(audit.response["files"]) == 3
    assert "did not come within 0.3 s" in audit.signals.findings[0].message
    await provider.close()


async def test_the_other_files_are_kept_where_one_fails(provider: ReplicateProvider, url: str) -> None:
    """In their places."""
    artifacts = MemoryArtifacts()
    files = (await _bought(provider, "[fault:lost_second]", artifacts, files=3)).response["files"]
    assert [file.startswith("artifact:") for file in files] == [True, False, True]
    assert files[1].startswith(url)
    assert await artifacts.of("acme").find(files[2])


async def test_a_host_that_fails_once_is_asked_again(provider: ReplicateProvider, fake: FakeReplicate) -> None:
    """Within the attempt."""
    before = fake.calls.total()
    audit = await _bought(provider, "[fault:flaky]", MemoryArtifacts())
    assert audit.response["files"][0].startswith("artifact:")
    assert fake.calls.total() == before + 1


@pytest.mark.parametrize("fault", ["torn", "broken_host"])
async def test_a_retry_after_a_file_that_failed_buys_nothing(
    provider: ReplicateProvider, fake: FakeReplicate, fault: str
) -> None:
    """The prediction stays noted; the next attempt asks for the file again, and then gives its link."""
    payload, notes, before = await a_payload(provider, prompt=f"[fault:{fault}]"), Notes(), fake.calls.total()
    with pytest.raises(ProviderError) as failed:
        await provider.execute(payload, a_call(note=notes.note))
    failure = failed.value.failure
    assert (failure.code, failure.retryable, failure.uncertain) == ("output_unavailable", True, True)
    answer = await provider.execute(payload, a_call(attempt=2, note=notes.note, resume=notes.noted[0]))
    audit = await provider.audit_response("predict", payload, answer.raw)
    assert [finding.code for finding in audit.signals.findings] == ["file_not_kept"]
    assert len(notes.noted) == 1
    assert fake.calls.total() == before + 1


def test_one_setting_says_how_large_a_file_may_be() -> None:
    """The one that holds people's uploads to it."""
    settings = Settings(replicate_api_token=KEY, max_artifact_bytes=7000)
    assert ReplicateProvider.from_settings(settings)._file_terms.most_bytes == 7000
