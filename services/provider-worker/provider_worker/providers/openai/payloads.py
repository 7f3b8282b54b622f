"""Request bodies for OpenAI, and their JSON Schemas: responses, chat completions with OpenAI's own members, and images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.providers.call import CallIntent, Failure, Issue
from provider_worker.providers.base import Attachment, ProviderError
from provider_worker.providers.chat_completions.payloads import (
    CHATS,
    JSON,
    chat_body,
    chat_schema,
    json_format,
    part_of,
    streamed,
)
from provider_worker.providers.files import unsupported
from provider_worker.providers.openai.responses.payloads import responses_body, responses_schema
from provider_worker.providers.payload_schema import body_schema

IMAGE = "image"
OPERATIONS = (*CHATS, IMAGE)

RESPONSES, CHAT = "responses", "chat"
APIS = (RESPONSES, CHAT)
"""The protocols in which texts and JSON can be asked for."""

_OWN_NAMES = ("system", "messages", "schema", "model", "prompt")
"""Parameters that shape the messages and are no members of the body."""

_ROLES = ("system", "developer", "user", "assistant", "tool")
_OWN_OF_A_CHAT: Mapping[str, Any] = {
    "max_completion_tokens": {"type": "integer", "minimum": 1},
    "reasoning_effort": {"type": "string"},
    "verbosity": {"type": "string", "enum": ["low", "medium", "high"]},
    "top_logprobs": {"type": "integer", "minimum": 0, "maximum": 20},
    "logit_bias": {"type": "object"},
    "parallel_tool_calls": {"type": "boolean"},
    "service_tier": {"type": "string"},
    "metadata": {"type": "object"},
    "store": {"type": "boolean"},
    "user": {"type": "string"},
    "safety_identifier": {"type": "string"},
}
_IMAGE: Mapping[str, Any] = {
    "model": {"type": "string", "minLength": 1},
    "prompt": {"type": "string", "minLength": 1, "maxLength": 32_000},
    "n": {"type": "integer", "minimum": 1, "maximum": 10},
    "size": {"type": "string", "pattern": "^(auto|[1-9][0-9]{1,4}x[1-9][0-9]{1,4})$"},
    "quality": {"type": "string", "enum": ["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"]},
    "background": {"type": "string", "enum": ["auto", "transparent", "opaque"]},
    "output_format": {"type": "string", "enum": ["png", "webp", "jpeg"]},
    "output_compression": {"type": "integer", "minimum": 0, "maximum": 100},
    "moderation": {"type": "string", "enum": ["auto", "low"]},
    "response_format": {"type": "string", "enum": ["b64_json", "url"]},
    "style": {"type": "string", "enum": ["vivid", "natural"]},
    "user": {"type": "string"},
    "stream": {"type": "boolean", "const": False},
}


def api_of(payload: Mapping[str, Any]) -> str:
    """Return the protocol that a payload is written in."""
    return RESPONSES if "input" in payload and "messages" not in payload else CHAT


def schema_of(operation: str, api: str = CHAT) -> dict[str, Any]:
    """Return the JSON Schema of a request body. Members it does not know are allowed; a warning names them."""
    if operation == IMAGE:
        return body_schema("OpenAI image generation", _IMAGE, ["model", "prompt"])
    return responses_schema() if api == RESPONSES else chat_schema("OpenAI chat completion", _ROLES, _OWN_OF_A_CHAT)


def build(intent: CallIntent, attachments: Sequence[Attachment], usual: str = CHAT) -> dict[str, Any]:
    """Build a request body, in the protocol `usual` unless the parameter `api` names one.

    Raises ProviderError for a protocol that there is not, and for an attachment that the operation cannot take.
    """
    members = {name: value for name, value in intent.parameters.items() if name not in _OWN_NAMES}
    if intent.operation == IMAGE:
        return _image(intent, attachments, members)
    api = members.pop("api", usual)
    if api not in APIS:
        raise _unknown_api(api)
    parts = [_part(index, attachment) for index, attachment in enumerate(attachments)]
    if api == RESPONSES:
        return responses_body(intent, parts, members)
    body = chat_body(intent, parts, members)
    if intent.operation == JSON:
        body.setdefault("response_format", json_format(intent.parameters.get("schema")))
    return streamed(str(intent.operation), body)


def _unknown_api(api: Any) -> ProviderError:
    message = f"There is no api {str(api)[:100]!r}; on offer are {', '.join(APIS)}."
    issue = Issue(code="api_unknown", message=message, path="/parameters/api")
    return ProviderError(Failure(code="api_unknown", message=message, issues=(issue,)))


def _image(intent: CallIntent, attachments: Sequence[Attachment], members: Mapping[str, Any]) -> dict[str, Any]:
    if attachments:
        raise unsupported(0, "images are made from the prompt alone")
    drawn = str(intent.model).startswith(("gpt-image", "chatgpt-image"))
    defaults = {} if drawn else {"response_format": "b64_json"}
    return {"model": intent.model, "prompt": intent.prompt, **defaults, **members}


def _part(index: int, attachment: Attachment) -> dict[str, Any]:
    if attachment.media_type == "application/pdf":
        return {"type": "file", "file": {"filename": f"attachment-{index + 1}.pdf", "file_data": attachment.url}}
    if (part := part_of(attachment)) is None:
        raise unsupported(index, f"{attachment.media_type} is neither an image, a PDF nor text")
    return part
