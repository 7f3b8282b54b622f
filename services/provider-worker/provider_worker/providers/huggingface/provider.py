"""The HuggingFace provider: chats through the router or any Text Generation Inference server, images and labels from hosted models.

The body that is sent is the payload as approved, member for member; of a pipeline's payload `model` is in the address. Chats go
through the router, which picks who serves the model; images and labels come from HuggingFace's own `hf-inference`.
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
from provider_worker.providers.huggingface.addresses import Addresses
from provider_worker.providers.huggingface.auditing import audit_classification, audit_completion, audit_image
from provider_worker.providers.huggingface.files import keep_image
from provider_worker.providers.huggingface.payloads import build, split
from provider_worker.providers.huggingface.rules import CLASSIFIER, ZERO_SHOT, label_issues
from provider_worker.providers.huggingface.schemas import (
    CHATS,
    CLASSIFICATION,
    IMAGE,
    JSON,
    OPERATIONS,
    TEXT,
    schema_of,
)
from provider_worker.providers.openai.files import with_files
from provider_worker.providers.openai.prices import estimate_chat
from provider_worker.providers.pricing import PriceTable
from provider_worker.providers.validation import PayloadSchema, unknown_members

if TYPE_CHECKING:
    from provider_worker.providers.huggingface.connection import Connection, Reply

DEFAULT_MODEL = "openai/gpt-oss-120b"
DEFAULT_IMAGE_MODEL = "stabilityai/stable-diffusion-xl-base-1.0"

_MODELS = {
    DEFAULT_MODEL: CHATS,
    DEFAULT_IMAGE_MODEL: (IMAGE,),
    CLASSIFIER: (CLASSIFICATION,),
    ZERO_SHOT: (CLASSIFICATION,),
}
_NO_PRICES = PriceTable({}, "")
"""HuggingFace has no prices of its own to ship: the router charges what the chosen server charges, `hf-inference` by the second."""

_PASSED_ON = "it is passed on as it is"
_log = structlog.get_logger(__name__)


class HuggingFaceProvider(AIProvider):
    """HuggingFace itself, or the server at `base_url`, which may need no token."""

    name: ClassVar[str] = "huggingface"
    tools: ClassVar[Mapping[str, str | None]] = {"hf": None, "hf-text": TEXT, "hf-image": IMAGE}

    def __init__(self, token: str | None, base_url: str | None, own_prices: Path | None = None) -> None:
        self._token = token
        self._addresses = Addresses.under(base_url)
        self._prices = _NO_PRICES.under(own_prices, self.name)
        self._connection = _connect(token, self._addresses) if token or base_url else None
        self._schemas = {operation: PayloadSchema(schema_of(operation)) for operation in OPERATIONS}

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the provider. A token that no HTTP header can carry counts as none."""
        token = settings.hf_token.get_secret_value().strip() if settings.hf_token else ""
        if token and not (token.isascii() and token.isprintable()):
            _log.error("HF_TOKEN holds characters that no token has; it is not used")
            token = ""
        return cls(token or None, settings.hf_base_url, settings.prices)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the token."""
        return (self._token,) if self._token else ()

    async def get_capabilities(self) -> Capabilities:
        """Say what can be asked for. Any model is passed on; those that are taken by default are listed."""
        return Capabilities(
            provider=self.name,
            description="Models on the HuggingFace Hub, or those of any Text Generation Inference server.",
            tool_names=tuple(self.tools),
            operations=OPERATIONS,
            default_operation=TEXT,
            models=tuple(ModelInfo(name=name, operations=operations) for name, operations in _MODELS.items()),
            default_model=DEFAULT_MODEL,
            any_model=True,
            safe_to_repeat=False,
            configured=self._connection is not None,
            rate_limit=await self.get_rate_limit_status(),
        )

    def payload_schema(self, operation: str) -> PayloadSchema:
        """Return the JSON Schema of an operation's payloads."""
        return self._schemas[operation]

    async def create_payload(
        self, intent: CallIntent, tool: Mapping[str, Any] | None, attachments: Sequence[Attachment]
    ) -> dict[str, Any]:
        """Build the payload: `system`, `messages` and `schema` shape a chat, `labels` a classification; the rest is passed on."""
        del tool
        return build(intent, attachments, is_router=self._addresses.is_router)

    async def validate_payload(self, operation: str, payload: Mapping[str, Any]) -> list[Issue]:
        """Check against the schema and against what the classifiers on offer take."""
        schema = self._schemas[operation]
        members = schema.document["properties"]
        issues = [*schema.issues(payload), *unknown_members(payload, list(members), [], _PASSED_ON)]
        parameters = payload.get("parameters")
        if operation not in CHATS and isinstance(parameters, Mapping):
            known = list(members["parameters"]["properties"])
            issues += unknown_members(parameters, known, ["parameters"], _PASSED_ON)
        return issues + (label_issues(payload) if operation == CLASSIFICATION else [])

    async def estimate_cost(self, operation: str, payload: Mapping[str, Any]) -> Decimal | None:
        """Estimate a chat by the operator's own prices; there are no others."""
        return estimate_chat(self._prices, payload) if operation in CHATS else None

    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Post the payload once."""
        if self._connection is None:
            message = "The worker holds no token for HuggingFace."
            raise ProviderError(Failure(code="provider_unconfigured", message=message))
        reply = await self._reply(self._connection, payload, call)
        raw = await keep_image(reply.body, reply.headers, call.artifacts) if call.operation == IMAGE else _parse(reply)
        return Answer(raw, reply.headers.get("x-request-id"))

    async def audit_response(self, operation: str, payload: Mapping[str, Any], raw: Any) -> Audit:
        """Read the answer by its operation."""
        match operation:
            case "image":
                return audit_image(raw)
            case "classification":
                return audit_classification(raw)
            case _:
                return audit_completion(self._prices, payload, raw, as_json=operation == JSON)

    async def get_rate_limit_status(self) -> dict[str, Any] | None:
        """Return the limits that the last response spoke of."""
        return self._connection.limits if self._connection is not None else None

    async def close(self) -> None:
        """Close the connections."""
        if self._connection is not None:
            await self._connection.close()

    async def _reply(self, connection: Connection, payload: Mapping[str, Any], call: Call) -> Reply:
        if call.operation in CHATS:
            return await connection.chat(await with_files(payload, call.artifacts), call.key)
        model, body = split(payload)
        task = "text-to-image" if call.operation == IMAGE else _classification(body)
        return await connection.run(task, model, body, call.key)


def _classification(body: Mapping[str, Any]) -> str:
    parameters = body.get("parameters")
    given = isinstance(parameters, Mapping) and "candidate_labels" in parameters
    return "zero-shot-classification" if given else "text-classification"


def _connect(token: str | None, addresses: Addresses) -> Connection:
    from provider_worker.providers.huggingface.connection import Connection  # noqa: PLC0415 - only who calls pays for the SDK

    return Connection(token, addresses)


def _parse(reply: Reply) -> Any:
    try:
        return json.loads(reply.body)
    except (ValueError, RecursionError) as error:
        raise ProviderError(malformed(len(reply.body))) from error
