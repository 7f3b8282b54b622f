"""The OpenAI provider: Chat Completions for text and JSON, Images for images, through the SDK.

Chat Completions rather than Responses, because every OpenAI-compatible server speaks it. The body that is sent is the payload as
approved, member for member, through the SDK's own `post`: its typed methods know only the parameters of their day.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import structlog

from chassis.settings import Settings
from contracts.work import CallIntent, Capabilities, Failure, Issue, ModelInfo
from provider_worker.providers.base import AIProvider, Answer, Attachment, Audit, Call, ProviderError
from provider_worker.providers.http.failures import malformed
from provider_worker.providers.openai import prices
from provider_worker.providers.openai.auditing import audit_chat, audit_images
from provider_worker.providers.openai.files import with_files, without_files
from provider_worker.providers.openai.payloads import IMAGE, JSON, OPERATIONS, TEXT, build, schema_of
from provider_worker.providers.openai.rules import reasoning_issues
from provider_worker.providers.pricing import PriceTable
from provider_worker.providers.validation import PayloadSchema, unknown_members

if TYPE_CHECKING:
    import httpx2

    from provider_worker.providers.openai.connection import Connection

DEFAULT_MODEL = "gpt-5.4-mini"
DEFAULT_IMAGE_MODEL = "gpt-image-2.5-flare"
NO_KEY = "none"
"""What servers that ask for no key are sent in its place; the SDK insists on one."""

_log = structlog.get_logger(__name__)


class OpenAIProvider(AIProvider):
    """OpenAI itself, or the server at `base_url`, which may need no key."""

    name: ClassVar[str] = "openai"
    tools: ClassVar[Mapping[str, str | None]] = {
        "gpt": TEXT,
        "chatgpt": TEXT,
        "openai-text": TEXT,
        "openai-image": IMAGE,
        "gpt-image": IMAGE,
    }

    def __init__(self, key: str | None, base_url: str | None, own_prices: Path | None = None) -> None:
        self._key = key
        self._prices = PriceTable.of(__package__).under(own_prices, self.name)
        self._is_openai = base_url is None
        self._connection = _connect(key or NO_KEY, base_url) if key or base_url else None
        self._schemas = {operation: PayloadSchema(schema_of(operation)) for operation in OPERATIONS}

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the provider. A key that no HTTP header can carry counts as none."""
        key = settings.openai_api_key.get_secret_value().strip() if settings.openai_api_key else ""
        if key and not (key.isascii() and key.isprintable()):
            _log.error("OPENAI_API_KEY holds characters that no key has; it is not used")
            key = ""
        return cls(key or None, settings.openai_base_url, settings.prices)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the key."""
        return (self._key,) if self._key else ()

    async def get_capabilities(self) -> Capabilities:
        """Say what can be asked for. Any model is passed on; those with a known price are listed."""
        known = [
            ModelInfo(name=model, operations=(IMAGE,) if "image" in model else (TEXT, JSON))
            for model in self._prices.models
        ]
        return Capabilities(
            provider=self.name,
            description="OpenAI's models, or those of any OpenAI-compatible server.",
            tool_names=tuple(self.tools),
            operations=OPERATIONS,
            default_operation=TEXT,
            models=tuple(sorted(known, key=lambda model: model.name != DEFAULT_IMAGE_MODEL)),
            default_model=DEFAULT_MODEL,
            any_model=True,
            safe_to_repeat=False,
            configured=self._connection is not None,
            rate_limit=await self.get_rate_limit_status(),
        )

    def payload_schema(self, operation: str) -> PayloadSchema:
        """Return the JSON Schema of an operation's request bodies."""
        return self._schemas[operation]

    async def create_payload(
        self, intent: CallIntent, tool: Mapping[str, Any] | None, attachments: Sequence[Attachment]
    ) -> dict[str, Any]:
        """Build the request body; the parameters `system`, `messages` and `schema` shape it, the others are its members."""
        del tool
        return build(intent, attachments)

    async def validate_payload(self, operation: str, payload: Mapping[str, Any]) -> list[Issue]:
        """Check against the schema and, on OpenAI itself, against what its reasoning models refuse."""
        schema = self._schemas[operation]
        issues = schema.issues(payload)
        issues += unknown_members(payload, list(schema.document["properties"]), [], "it is passed on as it is")
        return issues + (reasoning_issues(payload) if self._is_openai and operation != IMAGE else [])

    async def estimate_cost(self, operation: str, payload: Mapping[str, Any]) -> Decimal | None:
        """Estimate by the price table."""
        estimate = prices.estimate_image if operation == IMAGE else prices.estimate_chat
        return estimate(self._prices, payload)

    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Post the payload once."""
        if self._connection is None:
            raise ProviderError(Failure(code="provider_unconfigured", message="The worker holds no key for OpenAI."))
        path = "/images/generations" if call.operation == IMAGE else "/chat/completions"
        body = await with_files(payload, call.artifacts)
        response = await self._connection.post(path, body, call.key)
        raw = _parse(response)
        if call.operation == IMAGE:
            raw = await without_files(raw, call.artifacts)
        return Answer(raw, response.headers.get("x-request-id"))

    async def audit_response(self, operation: str, payload: Mapping[str, Any], raw: Any) -> Audit:
        """Read the answer by its protocol."""
        if operation == IMAGE:
            return audit_images(self._prices, payload, raw)
        return audit_chat(self._prices, payload, raw, as_json=operation == JSON)

    async def get_rate_limit_status(self) -> dict[str, Any] | None:
        """Return the limits that the last response spoke of."""
        return self._connection.limits if self._connection is not None else None

    async def close(self) -> None:
        """Close the connections."""
        if self._connection is not None:
            await self._connection.close()


def _connect(key: str, base_url: str | None) -> Connection:
    from provider_worker.providers.openai.connection import Connection  # noqa: PLC0415 - only who calls pays for the SDK

    return Connection(key, base_url)


def _parse(response: httpx2.Response) -> Any:
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError) as error:
        raise ProviderError(malformed(len(response.content), response.status_code)) from error
