"""The Anthropic provider: the Messages API for text and JSON, through the SDK.

The body that is sent is the payload as approved, member for member, through the SDK's own `post`: its typed methods know only the
parameters of their day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from contracts.providers.call import CallIntent, Issue, Spent
from contracts.providers.capabilities import ModelInfo
from provider_worker.providers.anthropic.files import with_files
from provider_worker.providers.anthropic.payloads import JSON, OPERATIONS, TEXT, build, payload_schema
from provider_worker.providers.anthropic.prices import estimate, estimate_usage, spent
from provider_worker.providers.anthropic.responses import audit_message, received_message
from provider_worker.providers.anthropic.rules import anthropic_issues
from provider_worker.providers.anthropic.stream import read_stream
from provider_worker.providers.base import Answer, Attachment, Audit, Call, Fragment
from provider_worker.providers.http.reply import parse
from provider_worker.providers.payload_schema import PayloadSchema, unknown_members
from provider_worker.providers.progress import Unfinished
from provider_worker.providers.sdk_provider import NO_KEY, SdkProvider

if TYPE_CHECKING:
    from provider_worker.providers.anthropic.client import AnthropicClient

DEFAULT_MODEL = "claude-haiku-5-5"


class AnthropicProvider(SdkProvider["AnthropicClient"]):
    """Anthropic itself, or any server that speaks its protocol."""

    name: ClassVar[str] = "anthropic"
    tools: ClassVar[Mapping[str, str | None]] = {"claude": TEXT, "anthropic-text": TEXT}
    asks_at = (("output_config", "format", "schema"), ("tools", 0, "input_schema"))
    title: ClassVar[str] = "Anthropic"
    description: ClassVar[str] = "Anthropic's models, or those of any server that speaks the Messages protocol."
    key_setting: ClassVar[str] = "anthropic_api_key"
    url_setting: ClassVar[str] = "anthropic_base_url"
    prices_package: ClassVar[str | None] = __package__
    operations: ClassVar[tuple[str, ...]] = OPERATIONS
    default_model: ClassVar[str | None] = DEFAULT_MODEL

    def __init__(self, key: str | None, base_url: str | None, own_prices: Path | None = None) -> None:
        super().__init__(key, base_url, own_prices)
        self._schema = PayloadSchema(payload_schema())

    def models(self) -> tuple[ModelInfo, ...]:
        """Return the models with a known price."""
        return tuple(ModelInfo(name=model, operations=OPERATIONS) for model in self._prices.models)

    def payload_schema(self, operation: str) -> PayloadSchema:  # noqa: ARG002 - both operations send messages
        """Return the JSON Schema of request bodies."""
        return self._schema

    async def create_payload(
        self, intent: CallIntent, tool: Mapping[str, Any] | None, attachments: Sequence[Attachment]
    ) -> dict[str, Any]:
        """Build the request body; the parameters `messages` and `schema` shape it, the others are its members."""
        del tool
        return build(intent, attachments)

    async def validate_payload(self, operation: str, payload: Mapping[str, Any]) -> list[Issue]:
        """Check against the schema and, on Anthropic itself, against its further rules."""
        issues = self.payload_schema(operation).issues(payload)
        known = list(self._schema.document["properties"])
        issues += unknown_members(
            payload, known, [], "it is passed on as it is, and Anthropic refuses what it does not know"
        )
        return issues + (anthropic_issues(payload) if self._base_url is None else [])

    async def estimate_cost(self, operation: str, payload: Mapping[str, Any]) -> Decimal | None:  # noqa: ARG002
        """Estimate the highest cost of the call by the price table."""
        return estimate(self._prices, payload)

    def estimate_tokens(self, operation: str, payload: Mapping[str, Any]) -> int | None:  # noqa: ARG002
        """Estimate as for the cost."""
        usage = estimate_usage(payload)
        return None if usage is None else sum(usage.values())

    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Post the payload once. A server that was asked for a stream may answer as a whole all the same."""
        client = self._required_client()
        async with client.post("/v1/messages", await with_files(payload, call.artifacts)) as reply:
            if reply.is_stream:
                raw = await read_stream(reply.events(), call.progress)
            else:
                raw = parse(await reply.body(), reply.status, reply.headers)
        return Answer(raw, reply.headers.get("request-id"))

    async def stop(self, call: Unfinished) -> Spent:
        """Return the cost: closing the connection is all that ends a message."""
        return spent(self._prices, call)

    async def audit_response(self, operation: str, payload: Mapping[str, Any], raw: Any) -> Audit:
        """Read the answer."""
        return audit_message(self._prices, payload, raw, as_json=operation == JSON)

    def received(self, call: Unfinished, raw: Any) -> Fragment:
        """Return what came."""
        return received_message(self._prices, call, raw)

    def _make_client(self, key: str | None, base_url: str | None) -> AnthropicClient:
        from provider_worker.providers.anthropic.client import AnthropicClient  # noqa: PLC0415 - a worker without a key does not load the SDK

        return AnthropicClient(key or NO_KEY, base_url)
