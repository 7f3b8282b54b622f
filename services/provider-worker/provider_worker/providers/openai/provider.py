"""The OpenAI provider: Responses or Chat Completions for text and JSON, Images for images, through the SDK.

Responses at OpenAI itself, Chat Completions elsewhere, because every OpenAI-compatible server speaks it; the payload tells which it is
written for. The body that is sent is the payload as approved, member for member, through the SDK's own `post`: its typed methods
know only the parameters of their day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from contracts.providers.call import CallIntent, Issue, Spent
from contracts.providers.capabilities import ModelInfo
from provider_worker.providers.base import Answer, Attachment, Audit, Call, Fragment, ProviderError
from provider_worker.providers.chat_completions.payloads import CHATS, JSON, TEXT, with_files
from provider_worker.providers.chat_completions.prices import cost_of, estimate_chat, estimate_usage, spent_on
from provider_worker.providers.chat_completions.responses import audit_chat, received_chat
from provider_worker.providers.chat_completions.stream import gather_chat
from provider_worker.providers.http.base_url import with_version
from provider_worker.providers.http.reply import parse
from provider_worker.providers.openai.images import (
    audit_images,
    estimate_image,
    estimate_image_usage,
    received_images,
    spent_on_image,
    without_files,
)
from provider_worker.providers.openai.payloads import APIS, CHAT, IMAGE, OPERATIONS, RESPONSES, api_of, build, schema_of
from provider_worker.providers.openai.responses.answers import audit_response, received_response
from provider_worker.providers.openai.responses.background import PACE
from provider_worker.providers.openai.responses.call import cancel, respond
from provider_worker.providers.openai.rules import background_issues, reasoning_issues
from provider_worker.providers.payload_schema import PayloadSchema, unknown_members
from provider_worker.providers.progress import Unfinished
from provider_worker.providers.remote_job import PollSchedule
from provider_worker.providers.sdk_provider import NO_KEY, SdkProvider

if TYPE_CHECKING:
    from provider_worker.providers.openai.client import OpenAIClient

DEFAULT_MODEL = "gpt-5.4-mini"
DEFAULT_IMAGE_MODEL = "gpt-image-2.5-flare"


class OpenAIProvider(SdkProvider["OpenAIClient"]):
    """OpenAI itself, or any server that speaks its protocols."""

    name: ClassVar[str] = "openai"
    asks_at = (("text", "format", "schema"), ("response_format", "json_schema", "schema"))
    title: ClassVar[str] = "OpenAI"
    description: ClassVar[str] = "OpenAI's models, or those of any OpenAI-compatible server."
    tools: ClassVar[Mapping[str, str | None]] = {
        "gpt": TEXT,
        "chatgpt": TEXT,
        "openai-text": TEXT,
        "openai-image": IMAGE,
        "gpt-image": IMAGE,
    }
    key_setting: ClassVar[str] = "openai_api_key"
    url_setting: ClassVar[str] = "openai_base_url"
    prices_package: ClassVar[str | None] = __package__
    operations: ClassVar[tuple[str, ...]] = OPERATIONS
    default_model: ClassVar[str | None] = DEFAULT_MODEL

    def __init__(
        self,
        key: str | None,
        base_url: str | None,
        own_prices: Path | None = None,
        schedule: PollSchedule | None = None,
    ) -> None:
        super().__init__(key, base_url, own_prices)
        self._schedule = schedule or PACE
        self._usual = CHAT if base_url else RESPONSES
        self._images = PayloadSchema(schema_of(IMAGE))
        self._chats = {api: PayloadSchema(schema_of(TEXT, api)) for api in APIS}

    @staticmethod
    def address_of(base_url: str) -> str:
        """Return a server's address with the version, which the SDK does not add."""
        return with_version(base_url)

    def models(self) -> tuple[ModelInfo, ...]:
        """Return the models with a known price, the default for images before all others."""
        known = [
            ModelInfo(name=model, operations=(IMAGE,) if "image" in model else CHATS) for model in self._prices.models
        ]
        return tuple(sorted(known, key=lambda model: model.name != DEFAULT_IMAGE_MODEL))

    def payload_schema(self, operation: str) -> PayloadSchema:
        """Return the JSON Schema of an operation's request bodies, in the usual protocol."""
        return self._images if operation == IMAGE else self._chats[self._usual]

    async def schema_for(self, operation: str, payload: Mapping[str, Any]) -> PayloadSchema:
        """Return the JSON Schema of the protocol that a payload is written in."""
        return self._images if operation == IMAGE else self._chats[api_of(payload)]

    async def create_payload(
        self, intent: CallIntent, tool: Mapping[str, Any] | None, attachments: Sequence[Attachment]
    ) -> dict[str, Any]:
        """Build the request body; the parameters `system`, `messages`, `schema` and `api` shape it, the others are its members."""
        del tool
        return build(intent, attachments, self._usual)

    async def validate_payload(self, operation: str, payload: Mapping[str, Any]) -> list[Issue]:
        """Check against the schema and, on OpenAI itself, against the rules of its reasoning models."""
        schema = await self.schema_for(operation, payload)
        issues = schema.issues(payload)
        issues += unknown_members(payload, list(schema.document["properties"]), [], "it is passed on as it is")
        if operation != IMAGE and self._base_url is None:
            issues += [*background_issues(payload), *reasoning_issues(payload)]
        return issues

    async def estimate_cost(self, operation: str, payload: Mapping[str, Any]) -> Decimal | None:
        """Estimate by the price table."""
        return (estimate_image if operation == IMAGE else estimate_chat)(self._prices, payload)

    def estimate_tokens(self, operation: str, payload: Mapping[str, Any]) -> int | None:
        """Estimate as for the cost."""
        return sum((estimate_image_usage if operation == IMAGE else estimate_usage)(payload).values())

    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Post the payload once, or ask about the response that an earlier attempt began."""
        client = self._required_client()
        if call.operation == IMAGE:
            response = await client.post("/images/generations", payload, call.key)
            raw = await without_files(parse(response.content, response.status_code, response.headers), call.artifacts)
            return Answer(raw, response.headers.get("x-request-id"))
        if api_of(payload) == RESPONSES:
            return await respond(client, payload, call, self._schedule)
        return await _complete(client, payload, call)

    async def stop(self, call: Unfinished) -> Spent:
        """Cancel a background response; other calls ended with their connections. Return the cost by then, reported or estimated."""
        if call.operation == IMAGE:
            return spent_on_image(self._prices, call)
        if call.provider_call_id is None:
            return spent_on(self._prices, call)
        try:
            usage = await cancel(self._required_client(), call.provider_call_id)
        except ProviderError:  # then OpenAI does not report the usage
            return Spent()
        return Spent(usage=dict(usage), cost=cost_of(self._prices, call.model, usage))

    async def audit_response(self, operation: str, payload: Mapping[str, Any], raw: Any) -> Audit:
        """Read the answer by its protocol."""
        if operation == IMAGE:
            return audit_images(self._prices, payload, raw)
        audit = audit_response if api_of(payload) == RESPONSES else audit_chat
        return audit(self._prices, payload, raw, as_json=operation == JSON)

    def received(self, call: Unfinished, raw: Any) -> Fragment:
        """Return what came, read by its protocol."""
        if call.operation == IMAGE:
            return received_images(self._prices, call, raw)
        is_response = isinstance(raw, dict) and "output" in raw
        return (received_response if is_response else received_chat)(self._prices, call, raw)

    def _make_client(self, key: str | None, base_url: str | None) -> OpenAIClient:
        from provider_worker.providers.openai.client import OpenAIClient  # noqa: PLC0415 - a worker without a key does not load the SDK

        return OpenAIClient(key or NO_KEY, base_url)


async def _complete(client: OpenAIClient, payload: Mapping[str, Any], call: Call) -> Answer:
    """Complete a chat, as a stream where the payload asks for one and the server sends one."""
    path, body = "/chat/completions", await with_files(payload, call.artifacts)
    if body.get("stream") is not True:
        response = await client.post(path, body, call.key)
        raw = parse(response.content, response.status_code, response.headers)
        return Answer(raw, response.headers.get("x-request-id"))
    async with client.stream(path, body, call.key) as reply:
        raw = await (gather_chat(reply.events(), call.progress) if reply.is_stream else reply.json())
        return Answer(raw, reply.request_id)
