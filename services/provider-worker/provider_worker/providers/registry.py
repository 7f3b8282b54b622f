"""The installed providers by name. Entry points name them, so that one more needs no change here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points

import structlog

from chassis.settings import Settings, SettingsError
from provider_worker.providers.base import AIProvider
from provider_worker.providers.pricing import refuse_unknown_providers

GROUP = "sayso.providers"
"""The entry point group; each entry names a subclass of AIProvider."""

_log = structlog.get_logger(__name__)


class Registry:
    """The providers by name, and by the names of the agent tools that stand for them."""

    def __init__(self, providers: Iterable[AIProvider]) -> None:
        self._providers: dict[str, AIProvider] = {}
        self._tools: dict[str, AIProvider] = {}
        for provider in providers:
            if provider.name in self._providers:
                _log.error("provider left out: its name is taken", provider=provider.name)
                continue
            self._providers[provider.name] = provider
            for tool in provider.tools:
                self._tools.setdefault(tool, provider)

    def __iter__(self) -> Iterator[AIProvider]:
        return iter(self._providers.values())

    @property
    def names(self) -> list[str]:
        """The providers' own names, in order."""
        return sorted(self._providers)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that no event, log or error may show."""
        return tuple(secret for provider in self for secret in provider.secrets)

    def find(self, name: str) -> AIProvider | None:
        """Return the provider of a name, in any case: its own name first, then a tool's. None if there is none."""
        wanted = name.strip().lower()
        return self._providers.get(wanted) or self._tools.get(wanted)

    async def close(self) -> None:
        """Let every provider let go of its connections."""
        for provider in self:
            await provider.close()


def load_providers(settings: Settings, found: Iterable[EntryPoint] | None = None) -> Registry:
    """Make every provider that is installed. One that cannot be made is logged and left out. Raises SettingsError."""
    providers = []
    for entry in entry_points(group=GROUP) if found is None else found:
        try:
            providers.append(_make(entry, settings))
        except SettingsError:
            raise
        except Exception as error:  # a foreign provider must not stop the others
            reason = f"{type(error).__name__}: {error}"
            _log.error("provider left out: it cannot be made", entry=entry.name, error=reason)
    registry = Registry(providers)
    refuse_unknown_providers(settings.prices, registry.names)
    return registry


def _make(entry: EntryPoint, settings: Settings) -> AIProvider:
    provider = entry.load().from_settings(settings)
    if not isinstance(provider, AIProvider) or not isinstance(provider.name, str):
        raise TypeError(f"{entry.value} makes no AIProvider with a name")
    return provider
