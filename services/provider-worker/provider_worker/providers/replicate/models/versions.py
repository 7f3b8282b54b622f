"""Model versions, looked up at Replicate before the call and cached: a version never changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cachetools import LRUCache

from contracts.providers.call import Failure, Issue
from provider_worker.providers.base import ProviderError
from provider_worker.providers.payload_schema import PayloadSchema, UnusableSchema, at
from provider_worker.providers.remote_job import undoubted
from provider_worker.providers.replicate.models.model_names import Reference, of_payload, parse
from provider_worker.providers.replicate.models.schemas import (
    ANY_INPUT,
    any_payload_schema,
    input_schema,
    payload_schema,
    speaks_in_pieces,
)

MAX_VERSIONS = 256

Ask = Callable[[str, str], Awaitable[Any]]
"""Asks Replicate: method and path in, JSON out. Raises ProviderError."""


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a model, or an official model, whose versions come and go by themselves.

    `inputs` is the schema of its input, None where that is not known.
    """

    reference: Reference
    is_official: bool
    schema: PayloadSchema
    inputs: dict[str, Any] | None
    speaks_in_pieces: bool = False

    @property
    def fields(self) -> Mapping[str, Any]:
        """The input's members by name."""
        found: Mapping[str, Any] = (self.inputs or {}).get("properties", {})
        return found

    def payload(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body of a prediction."""
        return {"model" if self.is_official else "version": str(self.reference), "input": dict(given)}


class VersionCache:
    """Finds versions. Without a way to ask, every version is one of unknown schema."""

    def __init__(self, ask: Ask | None) -> None:
        self._ask = ask
        self._known: LRUCache[str, Version] = LRUCache(MAX_VERSIONS)
        self.any_payload = PayloadSchema(any_payload_schema())

    async def find(self, reference: Reference) -> Version:
        """Return the current version of `reference`. Raises ProviderError."""
        if self._ask is None or reference.model is None:
            return self._known.get(str(reference)) or self._unknown(reference)
        if reference.version is not None and (known := self._known.get(str(reference))):
            return known
        return self._keep(await _look_up(reference, self._ask))

    async def of(self, payload: Mapping[str, Any]) -> Version:
        """Return the version that a payload names, as it was looked up last. Raises ProviderError."""
        reference = of_payload(payload) or Reference(None, None)
        return self._known.get(str(reference)) or await self.find(reference)

    def known(self, payload: Mapping[str, Any]) -> Version | None:
        """Return the version that a payload names if it is cached."""
        return self._known.get(str(of_payload(payload)))

    def _unknown(self, reference: Reference) -> Version:
        return Version(reference, reference.version is None, self.any_payload, None)

    def _keep(self, version: Version) -> Version:
        self._known[str(version.reference)] = version
        return version


async def _look_up(reference: Reference, ask: Ask) -> Version:
    path = f"/v1/models/{quote(str(reference.model))}"
    try:
        if reference.version is not None:
            found = await ask("GET", f"{path}/versions/{reference.version}")
            return _version(reference, found, is_official=False)
        model = await ask("GET", path)
    except ProviderError as error:
        raise ProviderError(_not_found(reference, error.failure)) from error
    latest = at(model, ["latest_version"])
    named = parse(f"{reference.model}:{at(latest, ['id'])}")
    # An official model is called by its name; all others by a version, so that the approved version runs.
    if named is None or at(model, ["is_official"]) is True:
        return _version(reference, latest, is_official=True)
    return _version(named, latest, is_official=False)


def _version(reference: Reference, document: Any, *, is_official: bool) -> Version:
    openapi = at(document, ["openapi_schema"])
    inputs = input_schema(openapi)
    try:
        schema = PayloadSchema(payload_schema(reference, inputs or ANY_INPUT, official=is_official))
    except (UnusableSchema, ValueError):
        inputs, schema = None, PayloadSchema(payload_schema(reference, ANY_INPUT, official=is_official))
    return Version(reference, is_official, schema, inputs, speaks_in_pieces(openapi))


def _not_found(reference: Reference, failure: Failure) -> Failure:
    """Return the failure of a look-up: nothing was bought in any case."""
    if failure.code == "not_found":
        message = f"Replicate knows no model {reference}, or the worker's token may not see it."
        issue = Issue(code="model_unknown", message=message, path="/model")
        return Failure(code="model_unknown", message=message, status=failure.status, issues=(issue,))
    message = f"What {reference} takes could not be looked up ({failure.code}). Nothing was called. {failure.message}"
    return failure.changed({"message": undoubted(message), "uncertain": False})
