"""`SdkProvider`: the base of all providers over a vendor's SDK. Knows no SDK, and loads none without a key or a server to call.

A vendor's class names its settings, makes its client, and has its own payloads, calls and audits.
"""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

from chassis.settings import Settings
from contracts.providers.call import Failure
from contracts.providers.capabilities import Capabilities, ModelInfo
from provider_worker.providers.base import AIProvider, ProviderError
from provider_worker.providers.http.base_url import without_version
from provider_worker.providers.http.limits import VendorLimits
from provider_worker.providers.pricing import PriceTable

NO_KEY = "none"
"""Sent to servers that ask for no key; the SDKs insist on one."""


class VendorClient(Protocol):
    """The members that every vendor's client has beside its calls."""

    limits: VendorLimits

    async def close(self) -> None:
        """Close the connections."""
        ...


C = TypeVar("C", bound=VendorClient)


class SdkProvider(AIProvider, Generic[C]):
    """A vendor itself, or the server at `base_url`, which may need no key. Without either it is announced and makes no call."""

    title: ClassVar[str]
    """The vendor's name, as people write it."""

    description: ClassVar[str]
    credential: ClassVar[str] = "key"
    """The vendor's word for its keys."""

    key_setting: ClassVar[str]
    url_setting: ClassVar[str]
    prices_package: ClassVar[str | None] = None
    """The package whose `prices.json` ships; None for a vendor that has no prices of its own."""

    needed_prices: ClassVar[tuple[tuple[str, ...], ...]] = (("input", "output"),)
    """The kinds of price that an operator's own table states for a model, in each way in which it may."""

    operations: ClassVar[tuple[str, ...]]
    """Its operations; the first is the default."""

    default_model: ClassVar[str | None] = None

    def __init__(self, key: str | None, base_url: str | None, own_prices: Path | None = None) -> None:
        base_url = base_url and self.address_of(base_url)
        self._key = key
        self._base_url = base_url
        shipped = PriceTable({}, "") if self.prices_package is None else PriceTable.of(self.prices_package)
        self._prices = shipped.under(own_prices, self.name, self.needed_prices)
        self._client = self._make_client(key, base_url) if key or base_url else None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the provider."""
        return cls(cls.key_in(settings), getattr(settings, cls.url_setting), settings.prices)

    @classmethod
    def key_in(cls, settings: Settings) -> str | None:
        """Return the key."""
        given = getattr(settings, cls.key_setting)
        return given.get_secret_value() if given else None

    @staticmethod
    def address_of(base_url: str) -> str:
        """Return a server's address as the vendor's SDK takes it, whether it was written with `/v1` or without."""
        return without_version(base_url)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return the key."""
        return (self._key,) if self._key else ()

    async def get_capabilities(self) -> Capabilities:
        """Return the capabilities. Any model is passed on; the known ones are listed."""
        return Capabilities(
            provider=self.name,
            description=self.description,
            tool_names=tuple(self.tools),
            operations=self.operations,
            default_operation=self.operations[0],
            models=self.models(),
            default_model=self.default_model,
            any_model=True,
            safe_to_repeat=False,
            configured=self._client is not None,
            rate_limit=await self.get_rate_limit_status(),
        )

    @abstractmethod
    def models(self) -> tuple[ModelInfo, ...]:
        """Return the models that are known, for people to choose from."""

    async def get_rate_limit_status(self) -> dict[str, Any] | None:
        """Return the limits that the last response spoke of."""
        return self._client.limits.known if self._client is not None else None

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    @abstractmethod
    def _make_client(self, key: str | None, base_url: str | None) -> C:
        """Make the connection. Imports the SDK at this moment and no earlier: it takes 15 MB and more."""

    def _required_client(self) -> C:
        """Return the connection. Raises ProviderError when there is none."""
        if self._client is None:
            message = f"The worker holds no {self.credential} for {self.title}."
            raise ProviderError(Failure(code="provider_unconfigured", message=message))
        return self._client
