"""The Replicate provider: a model's version says what it takes, a prediction is begun once and can be found again by its id."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import structlog

from chassis.settings import Settings
from contracts.work import CallIntent, Capabilities, Failure, Issue, ModelInfo, Severity
from provider_worker.providers.base import AIProvider, Answer, Attachment, Audit, Call, ProviderError
from provider_worker.providers.pricing import PriceTable
from provider_worker.providers.replicate import prices
from provider_worker.providers.replicate.auditing import audit_prediction, files_of
from provider_worker.providers.replicate.failures import before_the_call, of_known
from provider_worker.providers.replicate.fields import fill
from provider_worker.providers.replicate.files import Keeper, with_files
from provider_worker.providers.replicate.hosts import Hider
from provider_worker.providers.replicate.naming import choose
from provider_worker.providers.replicate.predicting import Pace, begin, watch
from provider_worker.providers.replicate.versions import Versions
from provider_worker.providers.validation import PayloadSchema, unknown_members

if TYPE_CHECKING:
    from provider_worker.providers.replicate.connection import Connection

PREDICT = "predict"
NOBODY = "none"
"""What servers that ask for no token are sent in its place."""

_NOT_SHOWN = ("urls", "input")
_log = structlog.get_logger(__name__)


class ReplicateProvider(AIProvider):
    """Replicate itself, or the server at `base_url`, which may need no token."""

    name: ClassVar[str] = "replicate"

    def __init__(
        self,
        token: str | None,
        base_url: str | None,
        own_prices: Path | None = None,
        pace: Pace | None = None,
        read_seconds: float = 60.0,
    ) -> None:
        self._token = token
        base_url = base_url and base_url.rstrip("/").removesuffix("/v1")
        self._connection = _connect(token or NOBODY, base_url, read_seconds) if token or base_url else None
        self._versions = Versions(self._connection.ask if self._connection is not None else None)
        self._prices = PriceTable.of(__package__).under(own_prices, self.name)
        self._hider = Hider(base_url)
        self._pace = pace or Pace()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the provider. A token that no HTTP header can carry counts as none."""
        token = settings.replicate_api_token.get_secret_value().strip() if settings.replicate_api_token else ""
        if token and not (token.isascii() and token.isprintable()):
            _log.error("REPLICATE_API_TOKEN holds characters that no token has; it is not used")
            token = ""
        return cls(token or None, settings.replicate_base_url, settings.prices)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the token."""
        return (self._token,) if self._token else ()

    async def get_capabilities(self) -> Capabilities:
        """Say what can be asked for: any model, by name or version; those with a price of their own are listed."""
        priced = [ModelInfo(name=name, operations=(PREDICT,)) for name in self._prices.models if "/" in name]
        return Capabilities(
            provider=self.name,
            description="Any model on Replicate, as owner/name or owner/name:version; the version says what it takes.",
            tool_names=(),
            operations=(PREDICT,),
            default_operation=PREDICT,
            models=tuple(priced),
            any_model=True,
            safe_to_repeat=False,
            configured=self._connection is not None,
            rate_limit=await self.get_rate_limit_status(),
        )

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

    async def validate_payload(self, operation: str, payload: Mapping[str, Any]) -> list[Issue]:
        """Check against the model's schema, and warn of what it does not name."""
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
        if self._connection is None:
            message = "The worker holds no token for Replicate."
            raise ProviderError(Failure(code="provider_unconfigured", message=message))
        try:
            prediction = await self._begun(payload, call, self._connection)
            return await self._ended(payload, prediction, call, self._connection)
        except ProviderError as error:
            message = self._hider.text(error.failure.message)
            raise ProviderError(error.failure.changed({"message": message})) from error

    async def _begun(self, payload: Mapping[str, Any], call: Call, connection: Connection) -> dict[str, Any]:
        if call.resume is not None:
            return {"id": call.resume}
        try:
            body = {**payload, "input": await with_files(payload.get("input"), connection, call.artifacts)}
        except ProviderError as error:
            raise ProviderError(before_the_call(error.failure)) from error
        return await begin(connection, body, call)

    async def _ended(
        self, payload: Mapping[str, Any], prediction: Mapping[str, Any], call: Call, connection: Connection
    ) -> Answer:
        name = str(prediction["id"])
        try:
            found = await watch(connection, prediction, self._pace)
            output = await Keeper(connection, call.artifacts).keep(found.get("output"))
        except ProviderError as error:
            raise ProviderError(of_known(error.failure, name)) from error
        if isinstance(output, list):
            with contextlib.suppress(ProviderError):  # it says how to read a list, and no more
                await self._versions.of(payload)
        shown = {member: value for member, value in found.items() if member not in _NOT_SHOWN}
        return Answer(self._hider.json({**shown, "output": output}), name)

    async def audit_response(self, operation: str, payload: Mapping[str, Any], raw: Any) -> Audit:
        """Read the prediction, without Replicate's addresses."""
        del operation
        raw = self._hider.json(raw)
        version = self._versions.known(payload)
        metrics, output = (raw.get("metrics"), raw.get("output")) if isinstance(raw, dict) else (None, None)
        priced = prices.prices_of(self._prices, payload, raw)
        cost = prices.cost_of(priced, metrics, len(list(files_of(output))))
        return audit_prediction(raw, cost, in_pieces=version is None or version.speaks_in_pieces)

    async def get_rate_limit_status(self) -> dict[str, Any] | None:
        """Return the limits that the last response spoke of."""
        return self._connection.limits if self._connection is not None else None

    async def close(self) -> None:
        """Close the connections."""
        if self._connection is not None:
            await self._connection.close()


def _connect(token: str, base_url: str | None, read_seconds: float) -> Connection:
    from provider_worker.providers.replicate.connection import Connection  # noqa: PLC0415 - only who calls pays for the SDK

    return Connection(token, base_url, read_seconds)
