"""One prediction: begun once, or resumed, watched until it ends, or canceled. Never begins a second one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from provider_worker.providers.base import Call, ProviderError
from provider_worker.providers.remote_job import GROWTH, Pace, Words, hear_nothing, until_ended
from provider_worker.providers.replicate.failures import PREDICTION, of_end

if TYPE_CHECKING:
    from provider_worker.providers.replicate.client import Connection

_ENDED = ("succeeded", "failed", "canceled", "aborted")


async def begin(connection: Connection, body: Mapping[str, Any], call: Call) -> dict[str, Any]:
    """Create a prediction and note its name. Raises ProviderError."""
    if "model" in body:  # an official model is named by the path alone
        path = f"/v1/models/{quote(str(body['model']))}/predictions"
        body = {name: value for name, value in body.items() if name != "model"}
    else:
        path = "/v1/predictions"
    prediction = await connection.ask("POST", path, body)
    if not isinstance(prediction, dict) or not isinstance(prediction.get("id"), str):
        raise ProviderError(PREDICTION.nameless())
    await call.note(prediction["id"])
    return prediction


async def watch(
    connection: Connection,
    prediction: Mapping[str, Any],
    pace: Pace,
    hear: Callable[[Mapping[str, Any]], Awaitable[None]],
) -> dict[str, Any]:
    """Ask about a prediction until it has succeeded, and return it; `hear` is told how it stands after each look. Raises ProviderError."""
    found = await _ended(connection, prediction, pace, hear)
    await hear(found)
    if (end := of_end(found)) is not None:
        raise ProviderError(end)
    return found


async def cancel(connection: Connection, name: str, pace: Pace) -> dict[str, Any]:
    """Cancel a prediction and return it as it ended, which may be as if nobody had canceled it. Raises ProviderError.

    Asked again it does no harm, so a request that fails is repeated.
    """
    wait = pace.first
    for left in reversed(range(pace.misses)):
        try:
            found = await connection.cancel(name)
            break
        except ProviderError as error:
            if not left or not error.failure.retryable:
                raise
            wait = min(wait * GROWTH, pace.longest)
            await asyncio.sleep(wait)
    return await _ended(connection, {"id": name, **_prediction(found)}, pace)


async def _ended(
    connection: Connection,
    prediction: Mapping[str, Any],
    pace: Pace,
    hear: Callable[[Mapping[str, Any]], Awaitable[None]] = hear_nothing,
) -> dict[str, Any]:
    name = str(prediction["id"])

    async def look() -> dict[str, Any]:
        return _prediction(await connection.prediction(name))

    return await until_ended(prediction, look, pace, _WORDS, hear)


def has_ended(prediction: Mapping[str, Any]) -> bool:
    """Say whether a prediction goes on no more."""
    return prediction.get("status") in _ENDED


def _prediction(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict) or not isinstance(answer.get("status"), str):
        raise ProviderError(PREDICTION.nameless())
    return answer


_WORDS = Words(has_ended, PREDICTION.of_look, PREDICTION.overdue)
