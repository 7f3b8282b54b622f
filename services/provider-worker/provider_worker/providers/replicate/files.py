"""Files on their way to Replicate and back: artifact refs become addresses in an input, outputs become artifact refs."""

from __future__ import annotations

import mimetypes
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from contracts.providers.call import Failure
from provider_worker.ports import TenantArtifacts
from provider_worker.providers.base import ProviderError
from provider_worker.providers.files import PREFIX, data_url, decoded, read
from provider_worker.providers.http.bounds import NotFetched

if TYPE_CHECKING:
    from provider_worker.providers.replicate.client import ReplicateClient

INLINE_BYTES = 256_000
"""Replicate takes files up to this size in the input itself."""

MAX_OUTPUT_FILES = 100
_INLINE = re.compile(r"data:(?P<media_type>[\w.+-]+/[\w.+-]+)(;[\w.+=-]+)*;base64,")
_UNTOLD = ("", "application/octet-stream", "binary/octet-stream")


async def with_files(value: Any, client: ReplicateClient, artifacts: TenantArtifacts) -> Any:
    """Return an input with the files that it names: small ones in place, others uploaded. Raises ProviderError."""
    match value:
        case str() if value.startswith(PREFIX):
            return await _sent(value, client, artifacts)
        case dict():
            return {name: await with_files(item, client, artifacts) for name, item in value.items()}
        case list():
            return [await with_files(item, client, artifacts) for item in value]
    return value


async def _sent(ref: str, client: ReplicateClient, artifacts: TenantArtifacts) -> str:
    artifact, body = await read(ref, artifacts)
    if len(body) > INLINE_BYTES:
        return await client.upload(body, artifact.media_type)
    return data_url(artifact, body)


class OutputStore:
    """Brings the files of one output into the artifact store. A file that cannot be brought there stays in its place as a link.

    `links` tells why, by address. A host that may give a file later fails the attempt unless `is_last`: the next one asks again, and
    buys nothing.
    """

    def __init__(self, client: ReplicateClient, artifacts: TenantArtifacts, *, is_last: bool) -> None:
        self._downloads = client.downloads()
        self._delivers = client.delivers
        self._artifacts = artifacts
        self._is_last = is_last
        self._files = 0
        self.links: dict[str, str] = {}

    async def keep(self, output: Any) -> Any:
        """Return an output whose files are kept and named by their refs. Raises ProviderError."""
        match output:
            case str() if inline := _INLINE.match(output):
                return await self._kept_inline(output, output[inline.end() :], inline["media_type"])
            case str() if self._delivers(output):
                return await self._fetched(output)
            case dict():
                return {name: await self.keep(item) for name, item in output.items()}
            case list():
                return [await self.keep(item) for item in output]
        return output

    async def _kept_inline(self, written: str, encoded: str, media_type: str) -> str:
        # Kept however large: there is no other place where it can be had.
        try:
            body = decoded(encoded)
        except ProviderError:
            return written  # the model's own words; a person sees them as they are
        return await self._artifacts.keep(body, media_type)

    async def _fetched(self, address: str) -> str:
        self._files += 1
        if self._files > MAX_OUTPUT_FILES:
            self.links[address] = f"the output has more than {MAX_OUTPUT_FILES} files"
            return address
        try:
            body, media_type = await self._downloads.fetch(address)
        except NotFetched as error:
            if error.passing and not self._is_last:
                raise ProviderError(_unfetched(error)) from error
            self.links[address] = error.why
            return address
        if media_type in _UNTOLD:
            media_type = mimetypes.guess_type(urlsplit(address).path)[0] or "application/octet-stream"
        return await self._artifacts.keep(body, media_type)


def _unfetched(error: NotFetched) -> Failure:
    message = f"The prediction succeeded, but a file of its output could not be fetched: {error.why}."
    return Failure(code="output_unavailable", message=message, retryable=True, uncertain=True)
