"""The HuggingFace provider: chats through the router or any Text Generation Inference server, images and labels from hosted models.

The body that is sent is the payload as approved, member for member; of a pipeline's payload `model` is in the address. Chats go
through the router, which picks who serves the model; images and labels come from HuggingFace's own `hf-inference`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from contracts.providers.call import CallIntent, Issue, Spent
from contracts.providers.capabilities import ModelInfo
from provider_worker.providers.base import Answer, Attachment, Audit, Call, Fragment
from provider_worker.providers.chat_completions.payloads import CHATS, JSON, TEXT, with_files
from provider_worker.providers.chat_completions.prices import estimate_chat, estimate_usage, spent_on
from provider_worker.providers.chat_completions.responses import received_chat
from provider_worker.providers.chat_completions.stream import gather_chat
from provider_worker.providers.http.reply import parse
from provider_worker.providers.huggingface.payloads import Addresses, build, split
from provider_worker.providers.huggingface.responses import (
    as_chat,
    audit_classification,
    audit_completion,
    audit_image,
    keep_image,
)
from provider_worker.providers.huggingface.rules import CLASSIFIER, ZERO_SHOT, label_issues
from provider_worker.providers.huggingface.schemas import CLASSIFICATION, IMAGE, OPERATIONS, schema_of
from provider_worker.providers.payload_schema import PayloadSchema, unknown_members
from provider_worker.providers.progress import Unfinished
from provider_worker.providers.sdk_provider import SdkProvider

if TYPE_CHECKING:
    from provider_worker.providers.huggingface.client import HuggingFaceClient

DEFAULT_MODEL = "openai/gpt-oss-120b"
DEFAULT_IMAGE_MODEL = "stabilityai/stable-diffusion-xl-base-1.0"

_MODELS = {
    DEFAULT_MODEL: CHATS,
    DEFAULT_IMAGE_MODEL: (IMAGE,),
    CLASSIFIER: (CLASSIFICATION,),
    ZERO_SHOT: (CLASSIFICATION,),
}

_PASSED_ON = "it is passed on as it is"


class HuggingFaceProvider(SdkProvider["HuggingFaceClient"]):
    """HuggingFace itself, or any Text Generation Inference server."""

    name: ClassVar[str] = "huggingface"
    tools: ClassVar[Mapping[str, str | None]] = {"hf": None, "hf-text": TEXT, "hf-image": IMAGE}
    asks_at = (("response_format", "json_schema", "schema"), ("response_format", "value"))
    title: ClassVar[str] = "HuggingFace"
    description: ClassVar[str] = "Models on the HuggingFace Hub, or those of any Text Generation Inference server."
    credential: ClassVar[str] = "token"
    key_setting: ClassVar[str] = "hf_token"
    url_setting: ClassVar[str] = "hf_base_url"
    # No prices of its own: the router charges what the chosen server charges, `hf-inference` by the second.
    operations: ClassVar[tuple[str, ...]] = OPERATIONS
    default_model: ClassVar[str | None] = DEFAULT_MODEL

    def __init__(self, key: str | None, base_url: str | None, own_prices: Path | None = None) -> None:
        self._addresses = Addresses.under(base_url)
        super().__init__(key, base_url, own_prices)
        self._schemas = {operation: PayloadSchema(schema_of(operation)) for operation in OPERATIONS}

    def models(self) -> tuple[ModelInfo, ...]:
        """Return the models that are taken by default."""
        return tuple(ModelInfo(name=name, operations=operations) for name, operations in _MODELS.items())

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

    def estimate_tokens(self, operation: str, payload: Mapping[str, Any]) -> int | None:
        """Estimate chats only: the usage of others is not reported in tokens."""
        return sum(estimate_usage(payload).values()) if operation in CHATS else None

    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Post the payload once. A server that was asked for a stream may answer as a whole all the same."""
        client = self._required_client()
        if call.operation in CHATS:
            return await _complete(client, payload, call)
        model, body = split(payload)
        task = "text-to-image" if call.operation == IMAGE else _classification(body)
        reply = await client.run(task, model, body, call.key)
        is_image = call.operation == IMAGE
        raw = (
            await keep_image(reply.body, reply.headers, call.artifacts)
            if is_image
            else parse(reply.body, headers=reply.headers)
        )
        return Answer(raw, reply.headers.get("x-request-id"))

    async def stop(self, call: Unfinished) -> Spent:
        """Return the cost of a chat: closing the connection is all that ends one. The usage of others is not reported in tokens."""
        return spent_on(self._prices, call) if call.operation in CHATS else Spent()

    async def audit_response(self, operation: str, payload: Mapping[str, Any], raw: Any) -> Audit:
        """Read the answer by its operation."""
        match operation:
            case "image":
                return audit_image(raw)
            case "classification":
                return audit_classification(raw)
            case _:
                return audit_completion(self._prices, payload, raw, as_json=operation == JSON)

    def received(self, call: Unfinished, raw: Any) -> Fragment:
        """Return what came; the usage of others than chats is not reported in tokens."""
        if call.operation not in CHATS:
            return Fragment(raw=raw)
        return replace(received_chat(self._prices, call, as_chat(raw)), raw=raw)

    def _make_client(self, key: str | None, base_url: str | None) -> HuggingFaceClient:  # noqa: ARG002 - the addresses are made of it
        from provider_worker.providers.huggingface.client import HuggingFaceClient  # noqa: PLC0415 - a worker without a key does not load the SDK

        return HuggingFaceClient(key, self._addresses)


async def _complete(client: HuggingFaceClient, payload: Mapping[str, Any], call: Call) -> Answer:
    async with client.chat(await with_files(payload, call.artifacts), call.key) as coming:
        if coming.is_stream:
            async with contextlib.aclosing(coming.chunks()) as chunks:
                raw = await gather_chat(chunks, call.progress)
        else:
            raw = parse(await coming.body(), coming.status, coming.headers)
    return Answer(raw, coming.headers.get("x-request-id"))


def _classification(body: Mapping[str, Any]) -> str:
    parameters = body.get("parameters")
    given = isinstance(parameters, Mapping) and "candidate_labels" in parameters
    return "zero-shot-classification" if given else "text-classification"
