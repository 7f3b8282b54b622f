"""One response: requested once, read as a stream, or polled in the background."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from provider_worker.ports import TenantArtifacts
from provider_worker.providers.base import Answer, Call, ProviderError
from provider_worker.providers.files import PREFIX, data_url, in_messages, read, read_text
from provider_worker.providers.http.reply import parse
from provider_worker.providers.openai.responses.background import path_of, watch
from provider_worker.providers.openai.responses.failures import of_end
from provider_worker.providers.openai.responses.stream import gather_response
from provider_worker.providers.payload_schema import at
from provider_worker.providers.remote_job import PollSchedule

if TYPE_CHECKING:
    from provider_worker.providers.openai.client import OpenAIClient

PATH = "/responses"


async def respond(client: OpenAIClient, payload: Mapping[str, Any], call: Call, schedule: PollSchedule) -> Answer:
    """Ask for a response, or for the one that an earlier attempt began, and return its end. Raises ProviderError."""
    if call.resume is not None:
        return Answer(await watch(client, {"id": call.resume}, schedule), call.resume)
    begun = _BackgroundName(call, in_background=payload.get("background") is True)
    body = await with_files(payload, call.artifacts)
    try:
        response, request_id = await _asked(client, body, call, begun)
    except ProviderError:
        if begun.name is None:
            raise
        response, request_id = {"id": begun.name}, None  # it goes on without its stream
    if begun.name is not None:
        return Answer(await watch(client, response, schedule), request_id or begun.name)
    if (end := of_end(response)) is not None:
        raise ProviderError(end)
    return Answer(response, request_id)


async def cancel(client: OpenAIClient, name: str) -> Mapping[str, Any]:
    """Cancel a background response, and return its usage by then as far as OpenAI reports it. Raises ProviderError."""
    answer = await client.post(f"{path_of(name)}/cancel", {}, name)
    usage = at(parse(answer.content, answer.status_code), ["usage"])
    return usage if isinstance(usage, dict) else {}


class _BackgroundName:
    """The name of a response that can be found again: only one that is made in the background can."""

    def __init__(self, call: Call, *, in_background: bool) -> None:
        self.name: str | None = None
        self._call = call
        self._in_background = in_background

    async def note(self, name: str) -> None:
        """Record the name, once."""
        if self._in_background and self.name is None:
            await self._call.note(name)
            self.name = name


async def _asked(
    client: OpenAIClient, body: Mapping[str, Any], call: Call, begun: _BackgroundName
) -> tuple[dict[str, Any], str | None]:
    if body.get("stream") is True:
        async with client.stream(PATH, body, call.key) as reply:
            if reply.is_stream:
                return await gather_response(reply.events(), call.progress, begun.note), reply.request_id
            answer, request_id = await reply.json(), reply.request_id
    else:
        response = await client.post(PATH, body, call.key)
        answer = parse(response.content, response.status_code, response.headers)
        request_id = response.headers.get("x-request-id")
    found = answer if isinstance(answer, dict) else {}
    if isinstance(found.get("id"), str):
        await begun.note(found["id"])
    return found, request_id


async def with_files(payload: Mapping[str, Any], artifacts: TenantArtifacts) -> dict[str, Any]:
    """Return the payload with the files that its input names. Raises ProviderError when one is gone."""

    async def fill(part: Any) -> Any:
        match part:
            case {"type": "input_image", "image_url": str(ref)} if ref.startswith(PREFIX):
                return {**part, "image_url": data_url(*await read(ref, artifacts))}
            case {"type": "input_file", "file_data": str(ref)} if ref.startswith(PREFIX):
                return {**part, "file_data": data_url(*await read(ref, artifacts))}
            case {"type": "input_text", "text": str(ref)} if ref.startswith(PREFIX):
                return {**part, "text": await read_text(ref, artifacts)}
        return part

    return await in_messages(payload, fill, "input")
