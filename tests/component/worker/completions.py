"""Texts of OpenAI for tests, in each form that it offers: payloads, calls, and a run's notes of them."""

from __future__ import annotations

from typing import Any

from contracts.providers.call import CallIntent
from provider_worker.providers.base import Attachment, Audit, Call
from provider_worker.providers.openai import OpenAIProvider
from provider_worker.providers.remote_job import PollSchedule
from provider_worker.testing.memory import MemoryArtifacts

KEY = "sk-test-very-secret-key"
PACE = PollSchedule(first=0.001, longest=0.01, patience=20)

FORMS: dict[str, dict[str, Any]] = {
    "chat": {"api": "chat", "stream": False},
    "streamed chat": {"api": "chat", "stream": True},
    "response": {"api": "responses", "stream": False},
    "streamed response": {"api": "responses", "stream": True},
    "background": {"api": "responses", "background": True},
    "streamed background": {"api": "responses", "background": True, "stream": True},
}
"""By name: the parameters that ask for it."""


class Notes:
    """A run's notes between attempts."""

    def __init__(self) -> None:
        self.noted: list[str] = []

    async def note(self, name: str) -> None:
        """Remember."""
        self.noted.append(name)


async def a_payload(
    provider: OpenAIProvider, form: str = "chat", operation: str = "text", **given: Any
) -> dict[str, Any]:
    """Return a payload in one of the FORMS, or that of an image."""
    attached: list[Attachment] = given.pop("attached", [])
    parameters = {**FORMS.get(form, {}), **given.pop("parameters", {})}
    asked = {"provider": "openai", "model": "fake-1", "operation": operation, "prompt": "Hello", **given}
    return await provider.create_payload(CallIntent(**asked, parameters=parameters), None, attached)


def a_call(operation: str = "text", artifacts: MemoryArtifacts | None = None, **given: Any) -> Call:
    """Return the circumstances of an attempt."""
    return Call(operation, "fake-1", 1, "work-1:1", (artifacts or MemoryArtifacts()).of("acme"), **given)


async def ask(
    provider: OpenAIProvider, form: str = "chat", operation: str = "text", call: Call | None = None, **given: Any
) -> Audit:
    """Ask for a text or JSON, and read the answer."""
    payload = await a_payload(provider, form, operation, **given)
    answer = await provider.execute(payload, call or a_call(operation))
    assert answer.request_id
    return await provider.audit_response(operation, payload, answer.raw)
