"""What is sent to HuggingFace. Files stay artifact refs in a payload; their bytes go in at the call alone.

A chat's payload is its body. A pipeline's body names no model, its address does: there the payload is the body and the `model`
beside it, so that an approval covers both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from contracts.work import CallIntent, Failure, Issue
from provider_worker.providers.base import Attachment, ProviderError
from provider_worker.providers.huggingface.schemas import CHATS, CLASSIFICATION, JSON, MODEL_NAME
from provider_worker.providers.openai.payloads import is_strict
from provider_worker.providers.validation import pointer

_READABLE = ("text/", "application/json", "application/xml", "application/yaml")
_OF_A_CHAT = ("system", "messages", "schema", "model")
_OF_A_PIPELINE = ("inputs", "labels", "model")
"""Parameters that shape the payload and are no members of the body."""

_JSON_HINT = "Answer with one JSON object and nothing else."
_MODEL = re.compile(MODEL_NAME)


def build(intent: CallIntent, attachments: Sequence[Attachment], *, is_router: bool) -> dict[str, Any]:
    """Build a payload. Raises ProviderError for an attachment that the operation cannot take."""
    if intent.operation not in CHATS:
        if attachments:
            raise _unsupported(0, "this operation takes the prompt alone")
        return _pipeline(intent)
    members = {name: value for name, value in intent.parameters.items() if name not in _OF_A_CHAT}
    body = {"model": intent.model, "messages": _messages(intent, attachments), **members}
    if intent.operation == JSON and "response_format" not in body:
        body["response_format"] = _response_format(intent.parameters.get("schema"), is_router=is_router)
    return body


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


def _messages(intent: CallIntent, attachments: Sequence[Attachment]) -> list[Any]:
    parameters = intent.parameters
    messages: list[Any] = []
    if isinstance(parameters.get("system"), str):
        messages.append({"role": "system", "content": parameters["system"]})
    elif intent.operation == JSON and "schema" not in parameters:
        messages.append({"role": "system", "content": _JSON_HINT})
    if isinstance(parameters.get("messages"), list):
        messages += parameters["messages"]
    parts = [_part(index, attachment) for index, attachment in enumerate(attachments)]
    content = [{"type": "text", "text": intent.prompt}, *parts] if parts else intent.prompt
    return [*messages, {"role": "user", "content": content}]


def _part(index: int, attachment: Attachment) -> dict[str, Any]:
    kind = attachment.media_type or "image/"
    if kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": attachment.url}}
    if kind.startswith(_READABLE):
        return {"type": "text", "text": attachment.url}
    raise _unsupported(index, f"{kind} is neither an image nor text")


def _response_format(schema: Any, *, is_router: bool) -> dict[str, Any]:
    """Return the router's form, or Text Generation Inference's, which knows the grammar by its value alone."""
    match is_router, schema:
        case True, None:
            return {"type": "json_object"}
        case True, _:
            return {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": schema, "strict": is_strict(schema)},
            }
        case _:
            return {"type": "json_object", "value": {"type": "object"} if schema is None else schema}


def _unsupported(index: int, why: str) -> ProviderError:
    message = f"The attachment cannot be sent: {why}."
    issue = Issue(code="attachment_unsupported", message=message, path=pointer(["attachments", index]))
    return ProviderError(Failure(code="attachment_unsupported", message=message, issues=(issue,)))
