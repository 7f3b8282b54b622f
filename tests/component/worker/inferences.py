"""How tests ask HuggingFace for inferences: calls, and answers as they are read."""

from __future__ import annotations

from typing import Any

from contracts.providers.call import CallIntent
from provider_worker.providers.base import Audit, Call
from provider_worker.providers.huggingface import HuggingFaceProvider
from provider_worker.testing.memory import MemoryArtifacts

KEY = "hf_test_very_secret_token"


def a_call(operation: str, artifacts: MemoryArtifacts | None = None) -> Call:
    """Return the circumstances of an attempt."""
    return Call(operation, None, 1, "work-1:1", (artifacts or MemoryArtifacts()).of("acme"))


async def ask(
    provider: HuggingFaceProvider, operation: str = "text", artifacts: MemoryArtifacts | None = None, **given: Any
) -> Audit:
    """Have an answer made, and read it."""
    said = {"provider": "huggingface", "model": "acme/tiny", "operation": operation, "prompt": "Hello", **given}
    payload = await provider.create_payload(CallIntent(**said), None, [])
    answer = await provider.execute(payload, a_call(operation, artifacts))
    assert answer.request_id
    return await provider.audit_response(operation, payload, answer.raw)
