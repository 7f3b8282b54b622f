"""Keeps paid answers: large ones go to the artifact store, however long the database is unavailable."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential

from artifacts.store import Artifact
from contracts.providers.call import Failure
from contracts.providers.signals import Signals
from provider_worker.errors import DatabaseUnavailable
from provider_worker.ports import TenantArtifacts
from provider_worker.providers.base import ProviderError

KEEP_SECONDS = 600.0
"""As long as a call may take."""

INLINE_BYTES = 128 * 1024
"""Raw answers beyond this go to the artifact store: every event and view of the run would carry them."""

INLINE_RESPONSE_BYTES = 256 * 1024
"""The same for cleaned answers, which reviewers read in place."""

INLINE_USAGE_BYTES = 16 * 1024
"""The same for usage, of which vendors say as much as they like."""

_MOST_FLAGS, _LONGEST_NAME = 50, 200
_EXCERPT = 2000
_STORED_SCHEMA = {
    "type": "object",
    "properties": {"artifact": {"type": "string"}, "size": {"type": "integer"}, "excerpt": {"type": "string"}},
    "required": ["artifact", "size"],
}


class RetryingArtifacts:
    """Implements `ports.TenantArtifacts`; `keep` retries while the database is unavailable."""

    def __init__(self, artifacts: TenantArtifacts) -> None:
        self._artifacts = artifacts

    async def find(self, ref: str) -> Artifact | None:
        """Return the artifact that `ref` names, without its bytes."""
        return await self._artifacts.find(ref)

    async def read(self, ref: str) -> tuple[Artifact, bytes] | None:
        """Return the artifact that `ref` names, with its bytes."""
        return await self._artifacts.read(ref)

    async def keep(self, body: bytes, media_type: str) -> str:
        """Store `body` and return its ref. Raises ProviderError after `KEEP_SECONDS`."""
        try:
            return await AsyncRetrying(
                retry=retry_if_exception_type(DatabaseUnavailable),
                stop=stop_after_delay(KEEP_SECONDS),
                wait=wait_exponential(0.1, max=5),
                reraise=True,
            )(self._artifacts.keep, body, media_type)
        except DatabaseUnavailable as error:
            message = "The call was made, but the database was unavailable for too long to keep its answer."
            raise ProviderError(Failure(code="storage_unavailable", message=message)) from error


async def inline_or_stored(raw: Any, artifacts: TenantArtifacts, most: int = INLINE_BYTES) -> Any:
    """Return a raw answer, or its ref and size if it is large. It is paid for: whatever was read of it is kept."""
    body = to_json(raw)
    if len(body) <= most:
        return raw
    return {"artifact": await artifacts.keep(body, "application/json"), "size": len(body)}


def bounded_signals(signals: Signals) -> Signals:
    """Return signals without more flags, or longer ones, than a record can hold beside an answer: vendors name them."""
    flags = tuple(flag[:_LONGEST_NAME] for flag in signals.safety_flags[:_MOST_FLAGS])
    return signals if flags == signals.safety_flags else signals.changed({"safety_flags": flags})


async def bounded(
    response: dict[str, Any], schema: dict[str, Any], artifacts: TenantArtifacts
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a cleaned answer with its schema, or an excerpt with the answer's ref if it is large."""
    body = to_json(response)
    if len(body) <= INLINE_RESPONSE_BYTES:
        return response, schema if len(to_json(schema)) <= INLINE_RESPONSE_BYTES else {}
    excerpt = next((value[:_EXCERPT] for value in response.values() if isinstance(value, str)), "")
    ref = await artifacts.keep(body, "application/json")
    return {"artifact": ref, "size": len(body), "excerpt": excerpt}, _STORED_SCHEMA
