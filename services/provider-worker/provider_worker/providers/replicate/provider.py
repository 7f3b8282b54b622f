"""The Replicate provider: a version's schema describes its input; a prediction is begun once and is found again by its id."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from chassis.settings import Settings
from contracts.providers.call import CallIntent, Issue, Severity, Spent
from contracts.providers.capabilities import ModelInfo
from provider_worker.providers.base import Answer, Attachment, Audit, Call, Fragment, ProviderError
from provider_worker.providers.http.bounds import DownloadTerms
from provider_worker.providers.payload_schema import PayloadSchema, unknown_members
from provider_worker.providers.progress import Unfinished
from provider_worker.providers.remote_job import PollSchedule
from provider_worker.providers.replicate import prices
from provider_worker.providers.replicate.failures import PREDICTION, before_the_call, has_ended
from provider_worker.providers.replicate.files import OutputStore, with_files
from provider_worker.providers.replicate.hosts import AddressFilter, finding_of, links_in, member_of
from provider_worker.providers.replicate.models.fields import fill
from provider_worker.providers.replicate.models.model_names import choose, named_again, of_payload, parse
from provider_worker.providers.replicate.models.versions import VersionCache
from provider_worker.providers.replicate.predictions import begin, cancel, watch
from provider_worker.providers.replicate.responses import audit_prediction, files_of, read_output
from provider_worker.providers.replicate.stream import OutputListener
from provider_worker.providers.sdk_provider import NO_KEY, SdkProvider

if TYPE_CHECKING:
    from provider_worker.providers.replicate.client import ReplicateClient

PREDICT = "predict"

CANCEL_SECONDS = 20.0
"""How long a prediction that was canceled is asked about until it has ended."""

_NOT_SHOWN = ("urls", "input")


class ReplicateProvider(SdkProvider["ReplicateClient"]):
    """Replicate itself, or a server that stands in for it."""

    name: ClassVar[str] = "replicate"
    title: ClassVar[str] = "Replicate"
    description: ClassVar[str] = (
        "Any model on Replicate, as owner/name or owner/name:version; the version says what it takes."
    )
    credential: ClassVar[str] = "token"
    key_setting: ClassVar[str] = "replicate_api_token"
    url_setting: ClassVar[str] = "replicate_base_url"
    prices_package: ClassVar[str | None] = __package__
    needed_prices: ClassVar[tuple[tuple[str, ...], ...]] = (("second",), ("image",), ("input",), ("output",))
    operations: ClassVar[tuple[str, ...]] = (PREDICT,)

    def __init__(
        self,
        key: str | None,
        base_url: str | None,
        own_prices: Path | None = None,
        schedule: PollSchedule | None = None,
        read_seconds: float = 60.0,
        files: DownloadTerms | None = None,
    ) -> None:
        self._schedule = schedule or PollSchedule()
        self._read_seconds = read_seconds
        self._file_terms = files or DownloadTerms()
        super().__init__(key, base_url, own_prices)
        self._versions = VersionCache(self._client.ask if self._client is not None else None)
        self._address_filter = AddressFilter(self._base_url)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the provider. Outputs may be as large as the files that people bring."""
        files = DownloadTerms(most_bytes=settings.max_artifact_bytes)
        return cls(cls.key_in(settings), getattr(settings, cls.url_setting), settings.prices, files=files)

    def models(self) -> tuple[ModelInfo, ...]:
        """Return the models with a price of their own: any can be asked for, by name or version."""
        return tuple(ModelInfo(name=name, operations=(PREDICT,)) for name in self._prices.models if "/" in name)

    def refuses_model(self, model: str) -> str | None:
        """Return why a name is none of a model: it is written owner/name, with a version or without."""
        return None if parse(model) else "is no model of Replicate's, which are named owner/name or owner/name:version"

    def payload_schema(self, operation: str) -> PayloadSchema:
        """Return the JSON Schema of all models' payloads."""
        del operation
        return self._versions.any_payload

    async def schema_for(self, operation: str, payload: Mapping[str, Any]) -> PayloadSchema:
        """Return the JSON Schema that the payload's model states. Raises ProviderError."""
        del operation
        return (await self._versions.of(payload)).schema

    async def create_payload(
        self, intent: CallIntent, tool: Mapping[str, Any] | None, attachments: Sequence[Attachment]
    ) -> dict[str, Any]:
        """Build the body of a prediction: prompt and attachments where the model's schema has a place, parameters by name."""
        version = await self._versions.find(choose(intent.model, tool))
        required = (version.inputs or {}).get("required", [])
        return version.payload(fill(intent, attachments, version.fields, required, example=tool is not None))

    def model_of(self, payload: Mapping[str, Any], built_for: str | None) -> str | None:
        """Return the model, or its version, that a payload names; `built_for` where that is the same in shorter words."""
        return named_again(of_payload(payload), built_for)

    async def validate_payload(self, operation: str, payload: Mapping[str, Any]) -> list[Issue]:
        """Check against the model's schema, and warn of members that it does not name."""
        del operation
        version = await self._versions.of(payload)
        issues = version.schema.issues(payload)
        given = payload.get("input")
        if version.inputs is None:
            message = "What this model takes is not known, so its input could not be checked."
            issues.append(Issue(code="schema_unknown", message=message, path="/input", severity=Severity.WARNING))
        elif isinstance(given, Mapping):
            issues += unknown_members(given, list(version.fields), ["input"], "the model ignores it")
        return issues

    async def estimate_cost(self, operation: str, payload: Mapping[str, Any]) -> Decimal | None:
        """Estimate by the price table, for models that cost by the image."""
        del operation
        return prices.estimate(prices.prices_of(self._prices, payload), payload)

    async def execute(self, payload: Mapping[str, Any], call: Call) -> Answer:
        """Begin one prediction, or find the one that an earlier attempt began, and wait for its end."""
        client = self._required_client()
        try:
            prediction = await self._begun(payload, call, client)
            return await self._ended(payload, prediction, call, client)
        except ProviderError as error:
            message = self._address_filter.text(error.failure.message)
            raise ProviderError(error.failure.changed({"message": message})) from error

    async def _begun(self, payload: Mapping[str, Any], call: Call, client: ReplicateClient) -> dict[str, Any]:
        if call.resume is not None:
            return {"id": call.resume}
        try:
            body = {**payload, "input": await with_files(payload.get("input"), client, call.artifacts)}
        except ProviderError as error:
            call.progress.hold()
            raise ProviderError(before_the_call(error.failure)) from error
        return await begin(client, body, call)

    async def _ended(
        self, payload: Mapping[str, Any], prediction: Mapping[str, Any], call: Call, client: ReplicateClient
    ) -> Answer:
        name = str(prediction["id"])
        listening = OutputListener(partial(self._is_text, payload), call.progress, self._address_filter)

        async def hear(found: Mapping[str, Any]) -> None:
            await listening.hear(found)
            call.progress.hold(partial(dict, found))

        try:
            found = await watch(client, prediction, self._schedule, hear)
            store = OutputStore(client, call.artifacts, is_last=call.attempt > 1)
            output = await store.keep(found.get("output"))
        except ProviderError as error:
            raise ProviderError(PREDICTION.of_known(error.failure, name)) from error
        answer = {**_shown(found), "output": output, **member_of(store.links)}
        return Answer(self._address_filter.json(answer, store.links), name)

    async def _is_text(self, payload: Mapping[str, Any]) -> bool:
        with contextlib.suppress(ProviderError):  # it says how to read a list, and no more
            await self._versions.of(payload)
        version = self._versions.known(payload)
        return version is None or version.speaks_in_pieces

    async def stop(self, call: Unfinished) -> Spent:
        """Cancel the prediction that was noted. Without a name none was begun, as far as is known. Raises ProviderError."""
        if call.provider_call_id is None:
            return Spent()
        schedule = replace(self._schedule, patience=min(self._schedule.patience, CANCEL_SECONDS))
        client = self._required_client()
        found = await cancel(client, call.provider_call_id, schedule)
        return prices.spent(self._prices, call.payload, found, client.delivers)

    async def audit_response(self, operation: str, payload: Mapping[str, Any], raw: Any) -> Audit:
        """Read the prediction, without Replicate's addresses."""
        del operation
        raw = self._address_filter.json(raw, links := links_in(raw))
        version = self._versions.known(payload)
        metrics, output = (raw.get("metrics"), raw.get("output")) if isinstance(raw, dict) else (None, None)
        priced = prices.prices_of(self._prices, payload, raw)
        cost = prices.cost_of(priced, metrics, len(list(files_of(output, links))))
        in_pieces = version is None or version.speaks_in_pieces
        audit = audit_prediction(raw, cost, in_pieces=in_pieces, given=payload.get("input"))
        if not links:
            return audit
        return replace(audit, signals=audit.signals.changed({"findings": (finding_of(raw),)}))

    def received(self, call: Unfinished, raw: Any) -> Fragment:
        """Return a prediction as it was seen last, without Replicate's addresses, and its cost once it has ended."""
        if not isinstance(raw, dict) or not has_ended(raw):
            return Fragment(raw=self._address_filter.json(raw))
        shown = self._address_filter.json(_shown(raw))
        client = self._client
        spent = prices.spent(self._prices, call.payload, raw, client.delivers if client is not None else bool)
        output = shown.get("output")
        response = read_output(output, (), in_pieces=True)[0] if output else {}
        return Fragment(raw=shown, response=response, usage=spent.usage, cost=spent.cost)

    def _make_client(self, key: str | None, base_url: str | None) -> ReplicateClient:
        from provider_worker.providers.replicate.client import ReplicateClient  # noqa: PLC0415 - a worker without a key does not load the SDK

        return ReplicateClient(key or NO_KEY, base_url, self._read_seconds, self._file_terms)


def _shown(prediction: Mapping[str, Any]) -> dict[str, Any]:
    return {member: value for member, value in prediction.items() if member not in _NOT_SHOWN}
