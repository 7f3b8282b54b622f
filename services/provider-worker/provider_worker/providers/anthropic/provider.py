"""The Anthropic provider: the Messages API for text and JSON, through the SDK.

The body that is sent is the payload as approved, member for member, through the SDK's own `post`: its typed methods know only the
parameters of their day.
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
from provider_worker.providers.anthropic.auditing import audit_message
from provider_worker.providers.anthropic.files import with_files
from provider_worker.providers.anthropic.payloads import JSON, OPERATIONS, TEXT, build, payload_schema
from provider_worker.providers.anthropic.prices import estimate
from provider_worker.providers.anthropic.rules import anthropic_issues
from provider_worker.providers.base import AIProvider, Answer, Attachment, Audit, Call, ProviderError
from provider_worker.providers.http.failures import malformed
from provider_worker.providers.pricing import PriceTable
from provider_worker.providers.validation import PayloadSchema, unknown_members

if TYPE_CHECKING:
    import httpx2

    from provider_worker.providers.anthropic.connection import Connection

DEFAULT_MODEL = "claude-haiku-5-5"
NO_KEY = "none"
"""What servers that ask for no key are sent in its place; the SDK insists on one."""

_log = structlog.get_logger(__name__)


class AnthropicProvider(AIProvider):
    """Anthropic itself, or the server at `base_url`, which may need no key."""

    name: ClassVar[str] = "anthropic"
    tools: ClassVar[Mapping[str, str | None]] = {"claude": TEXT, "anthropic-text": TEXT}

    def __init__(self, key: str | None, base_url: str | None, own_prices: Path | None = None) -> None:
        self._key = key
        self._prices = PriceTable.of(__package__).under(own_prices, self.name)
        self._is_anthropic = base_url is None
        self._connection = _connect(key or NO_KEY, base_url) if key or base_url else None
        self._schema = PayloadSchema(payload_schema())

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the provider. A key that no HTTP header can carry counts as none."""
        key = settings.anthropic_api_key.get_secret_value().strip() if settings.anthropic_api_key else ""
        if key and not (key.isascii() and key.isprintable()):
            _log.error("ANTHROPIC_API_KEY holds characters that no key has; it is not used")
            key = ""
        return cls(key or None, settings.anthropic_base_url, settings.prices)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the key."""
        return (self._key,) if self._key else ()

    async def get_capabilities(self) -> Capabilities:
        """Say what can be asked for. Any model is passed on; those with a known price are listed."""
        return Capabilities(
            provider=self.name,
            description="Anthropic's models, or those of any server that speaks the Messages protocol.",
            tool_names=tuple(self.tools),
            operations=OPERATIONS,
            default_operation=TEXT,
            models=tuple(ModelInfo(name=model, operations=OPERATIONS) for model in self._prices.models),
            default_model=DEFAULT_MODEL,
            any_model=True,
            safe_to_repeat=False,
            configured=self._connection is not None,
            rate_limit=await self.get_rate_limit_status(),
        )

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
        """Check against the schema and, on Anthropic itself, against what it refuses beyond that."""
        issues = self.payload_schema(operation).issues(payload)
        known = list(self._schema.document["properties"])
        issues += unknown_members(
            payload, known, [], "it is passed on as it is, and Anthropic refuses what it does not know"
        )
        return issues + (anthropic_issues(payload) if self._is_anthropic else [])

    async def estimate_cost(self, operation: str, payload: Mapping[str, Any]) -> Decimal | None:  # noqa: ARG002
        """Estimate by the price table what the call may cost at most."""
        return estimate(self._prices, payload)

    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Post the payload once."""
        if self._connection is None:
            message = "The worker holds no key for Anthropic."
            raise ProviderError(Failure(code="provider_unconfigured", message=message))
        response = await self._connection.post("/v1/messages", await with_files(payload, call.artifacts))
        return Answer(_parse(response), response.headers.get("request-id"))

    async def audit_response(self, operation: str, payload: Mapping[str, Any], raw: Any) -> Audit:
        """Read the answer."""
        return audit_message(self._prices, payload, raw, as_json=operation == JSON)

    async def get_rate_limit_status(self) -> dict[str, Any] | None:
        """Return the limits that the last response spoke of."""
        return self._connection.limits if self._connection is not None else None

    async def close(self) -> None:
        """Close the connections."""
        if self._connection is not None:
            await self._connection.close()


def _connect(key: str, base_url: str | None) -> Connection:
    from provider_worker.providers.anthropic.connection import Connection  # noqa: PLC0415 - only who calls pays for the SDK

    return Connection(key, base_url)


def _parse(response: httpx2.Response) -> Any:
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError) as error:
        raise ProviderError(malformed(len(response.content), response.status_code)) from error
