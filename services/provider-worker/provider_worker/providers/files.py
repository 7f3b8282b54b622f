"""Files between the artifact store and the vendors: refs in payloads become bytes at the call, bytes in answers become refs.

A file's type is read from its bytes (`artifacts.media_type`): a reviewer's browser would trust a type that a server declares.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from artifacts.store import Artifact
from contracts.json_pointer import pointer
from contracts.providers.call import Failure, Issue
from provider_worker.ports import TenantArtifacts
from provider_worker.providers.base import ProviderError

PREFIX = "artifact:"
"""How every ref of an artifact begins."""

_READABLE = ("text/", "application/json", "application/xml", "application/yaml")


def unsupported(index: int, why: str) -> ProviderError:
    """Return the refusal of an attachment, which names its place."""
    message = f"The attachment cannot be sent: {why}."
    issue = Issue(code="attachment_unsupported", message=message, path=pointer(["attachments", index]))
    return ProviderError(Failure(code="attachment_unsupported", message=message, issues=(issue,)))


def is_readable(media_type: str) -> bool:
    """Return whether a file is text that can go into a message as it is."""
    return media_type.startswith(_READABLE)


async def in_messages(
    payload: Mapping[str, Any], fill: Callable[[Any], Awaitable[Any]], member: str = "messages"
) -> dict[str, Any]:
    """Return a payload whose messages' parts went through `fill`; `member` holds them. Raises ProviderError as that does."""
    messages = payload.get(member)
    if not isinstance(messages, list):
        return dict(payload)
    return {**payload, member: [await _filled(message, fill) for message in messages]}


async def _filled(message: Any, fill: Callable[[Any], Awaitable[Any]]) -> Any:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    return {**message, "content": [await fill(part) for part in content]}


async def read(ref: str, artifacts: TenantArtifacts) -> tuple[Artifact, bytes]:
    """Return a file of a payload. Raises ProviderError when it is gone: nothing was called yet."""
    found = await artifacts.read(ref)
    if found is None:
        message = f"The file {ref[:100]} is not in the artifact store. Nothing was called."
        raise ProviderError(Failure(code="artifact_missing", message=message))
    return found


async def read_text(ref: str, artifacts: TenantArtifacts) -> str:
    """Return a file of a payload as text. Raises ProviderError."""
    return (await read(ref, artifacts))[1].decode(errors="replace")


def data_url(artifact: Artifact, body: bytes) -> str:
    """Write a file as a data URL."""
    return f"data:{artifact.media_type};base64,{base64.b64encode(body).decode()}"


def decoded(text: str) -> bytes:
    """Return the file that an answer holds in base64. Raises ProviderError."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        message = "A file in the server's answer is not base64."
        raise ProviderError(Failure(code="malformed_response", message=message)) from error
