"""Predictions of Replicate for tests: payloads, calls, and a run's notes of them."""

from __future__ import annotations

from typing import Any

from contracts.providers.call import CallIntent
from fake_vendors.replicate.models import version_of
from provider_worker.providers.base import Audit, Call
from provider_worker.providers.http.bounds import DownloadTerms
from provider_worker.providers.remote_job import PollSchedule
from provider_worker.providers.replicate import ReplicateProvider
from provider_worker.testing.memory import MemoryArtifacts

KEY = "r8_test_very_secret_token"
PACE = PollSchedule(first=0.001, longest=0.01, patience=20)
FILES = DownloadTerms(pause=0.001, seconds=5)
PAINTER = f"acme/painter:{version_of('acme/painter')}"


class Notes:
    """A run's notes between attempts."""

    def __init__(self) -> None:
        self.noted: list[str] = []

    async def note(self, name: str) -> None:
        """Remember."""
        self.noted.append(name)


async def a_payload(provider: ReplicateProvider, model: str = "acme/painter", **given: Any) -> dict[str, Any]:
    """Return the payload of a prediction, without its call."""
    attachments = given.pop("attached", [])
    intent = CallIntent(**{"provider": "replicate", "model": model, "operation": "predict", "prompt": "A cat", **given})
    return await provider.create_payload(intent, None, attachments)


def a_call(artifacts: MemoryArtifacts | None = None, attempt: int = 1, **given: Any) -> Call:
    """Return the circumstances of an attempt."""
    kept = (artifacts or MemoryArtifacts()).of("acme")
    return Call("predict", None, attempt, f"work-1:{attempt}", kept, **given)


async def ask(
    provider: ReplicateProvider, model: str = "acme/painter", artifacts: MemoryArtifacts | None = None, **given: Any
) -> Audit:
    """Have a prediction made, and read it."""
    payload = await a_payload(provider, model, **given)
    answer = await provider.execute(payload, a_call(artifacts))
    assert answer.request_id
    return await provider.audit_response("predict", payload, answer.raw)
