"""Responses that are made in the background: begun once, or found again by their id, and asked about until they end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from provider_worker.providers.base import ProviderError
from provider_worker.providers.openai.responses.failures import RESPONSE, of_end, of_known_end
from provider_worker.providers.remote_job import PollSchedule

if TYPE_CHECKING:
    from provider_worker.providers.openai.client import OpenAIClient

PACE = PollSchedule(first=1.0, longest=10.0)
"""Background responses take minutes: they are looked at less often than predictions."""


def path_of(name: str) -> str:
    """Return where a response is."""
    return f"/responses/{quote(name, safe='')}"


async def watch(client: OpenAIClient, response: Mapping[str, Any], schedule: PollSchedule) -> dict[str, Any]:
    """Ask about a response until it has ended with an answer, and return it. Raises ProviderError."""
    name = str(response["id"])

    async def look() -> dict[str, Any]:
        return _response(await client.get(path_of(name)))

    try:
        found = await RESPONSE.until_ended(response, look, schedule)
    except ProviderError as error:
        raise ProviderError(RESPONSE.of_known(error.failure, name)) from error
    if (end := of_end(found)) is not None:
        raise ProviderError(of_known_end(end))
    return found


def _response(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict) or not isinstance(answer.get("status"), str):
        raise ProviderError(RESPONSE.nameless())
    return answer
