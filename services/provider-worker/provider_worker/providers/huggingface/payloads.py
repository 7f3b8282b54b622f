"""Payloads for HuggingFace, and the addresses of calls. Files stay artifact refs in a payload; their bytes go in at the call.

A chat's payload is its body. A pipeline's body names no model, its address does: there the payload is the body and the `model`
beside it, so that an approval covers both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from contracts.providers.call import CallIntent, Failure
from provider_worker.providers.base import Attachment, ProviderError
from provider_worker.providers.chat_completions.payloads import CHATS, JSON, chat_body, json_format, part_of, streamed
from provider_worker.providers.files import unsupported
from provider_worker.providers.http.base_url import without_version
from provider_worker.providers.huggingface.schemas import CLASSIFICATION, MODEL_NAME

_OF_A_CHAT = ("system", "messages", "schema", "model")
_OF_A_PIPELINE = ("inputs", "labels", "model")
"""Parameters that shape the payload and are no members of the body."""

_MODEL = re.compile(MODEL_NAME)


def build(intent: CallIntent, attachments: Sequence[Attachment], *, is_router: bool) -> dict[str, Any]:
    """Build a payload. Raises ProviderError for an attachment that the operation cannot take."""
    if intent.operation not in CHATS:
        if attachments:
            raise unsupported(0, "this operation takes the prompt alone")
        return _pipeline(intent)
    members = {name: value for name, value in intent.parameters.items() if name not in _OF_A_CHAT}
    body = chat_body(intent, [_part(index, attachment) for index, attachment in enumerate(attachments)], members)
    if intent.operation == JSON:
        body.setdefault("response_format", _response_format(intent.parameters.get("schema"), is_router=is_router))
    return streamed(intent.operation, body)


def split(payload: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return a pipeline's model and body. Raises ProviderError when the model is no name of one."""
    body = dict(payload)
    model = body.pop("model", None)
    if not isinstance(model, str) or not _MODEL.fullmatch(model):
        message = "The payload's model is not the name of a model on the Hub. Nothing was called."
        raise ProviderError(Failure(code="request_refused", message=message))
    return model, body


def _pipeline(intent: CallIntent) -> dict[str, Any]:
    parameters = {name: value for name, value in intent.parameters.items() if name not in _OF_A_PIPELINE}
    if intent.operation == CLASSIFICATION and "labels" in intent.parameters:
        parameters = {"candidate_labels": intent.parameters["labels"], **parameters}
    return {"model": intent.model, "inputs": intent.prompt, **({"parameters": parameters} if parameters else {})}


def _part(index: int, attachment: Attachment) -> dict[str, Any]:
    if (part := part_of(attachment)) is None:
        raise unsupported(index, f"{attachment.media_type} is neither an image nor text")
    return part


def _response_format(schema: Any, *, is_router: bool) -> dict[str, Any]:
    """Return the router's form, or Text Generation Inference's, which knows the grammar by its value alone."""
    if is_router:
        return json_format(schema)
    return {"type": "json_object", "value": {"type": "object"} if schema is None else schema}


ROUTER = "https://router.huggingface.co"


@dataclass(frozen=True, slots=True)
class Addresses:
    """The address of chats, and the root of the models' pipelines."""

    chat: str
    models: str
    is_router: bool

    @classmethod
    def under(cls, base_url: str | None) -> Self:
        """Return those of a server, whether its base URL ends in the version or not; without one, the router's."""
        root = without_version(base_url or ROUTER)
        is_router = root == ROUTER
        return cls(
            f"{root}/v1/chat/completions", f"{root}/hf-inference/models" if is_router else f"{root}/models", is_router
        )
