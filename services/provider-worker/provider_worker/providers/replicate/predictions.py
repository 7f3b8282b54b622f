"""One prediction: begun once, or resumed, watched until it ends, or canceled. Never begins a second one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential

from provider_worker.providers.base import Call, ProviderError
from provider_worker.providers.remote_job import GROWTH, PollSchedule, ignore
from provider_worker.providers.replicate.failures import PREDICTION, of_end

if TYPE_CHECKING:
    from provider_worker.providers.replicate.client import ReplicateClient


async def begin(client: ReplicateClient, body: Mapping[str, Any], call: Call) -> dict[str, Any]:
    """Create a prediction and note its name. Raises ProviderError."""
    if "model" in body:  # an official model is named by the path alone
        path = f"/v1/models/{quote(str(body['model']))}/predictions"
        body = {name: value for name, value in body.items() if name != "model"}
    else:
        path = "/v1/predictions"
    prediction = await client.ask("POST", path, body)
    if not isinstance(prediction, dict) or not isinstance(prediction.get("id"), str):
        raise ProviderError(PREDICTION.nameless())
    await call.note(prediction["id"])
    return prediction


async def watch(
    client: ReplicateClient,
    prediction: Mapping[str, Any],
    schedule: PollSchedule,
    hear: Callable[[Mapping[str, Any]], Awaitable[None]],
) -> dict[str, Any]:
    """Poll a prediction until it has succeeded, and return it; `hear` gets it after each look. Raises ProviderError."""
    found = await _ended(client, prediction, schedule, hear)
    await hear(found)
    if (end := of_end(found)) is not None:
        raise ProviderError(end)
    return found


async def cancel(client: ReplicateClient, name: str, schedule: PollSchedule) -> dict[str, Any]:
    """Cancel a prediction and return it as it ended: it may have succeeded before. Raises ProviderError.

    Canceling is idempotent, so a failed request is repeated.
    """
    found: Any = await AsyncRetrying(
        retry=retry_if_exception(_is_retryable),
        stop=stop_after_attempt(schedule.misses),
        wait=wait_exponential(schedule.first, max=schedule.longest, exp_base=GROWTH),
        reraise=True,
    )(client.cancel, name)
    return await _ended(client, {"id": name, **_prediction(found)}, schedule)


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, ProviderError) and error.failure.retryable


async def _ended(
    client: ReplicateClient,
    prediction: Mapping[str, Any],
    schedule: PollSchedule,
    hear: Callable[[Mapping[str, Any]], Awaitable[None]] = ignore,
) -> dict[str, Any]:
    name = str(prediction["id"])

    async def look() -> dict[str, Any]:
        return _prediction(await client.prediction(name))

    return await PREDICTION.until_ended(prediction, look, schedule, hear)


def _prediction(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict) or not isinstance(answer.get("status"), str):
        raise ProviderError(PREDICTION.nameless())
    return answer
