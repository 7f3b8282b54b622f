"""The check `pii`: personal data in prompts, payloads and responses, found by Presidio's patterns and checksums.

A finding has kinds, counts and places, never the text. Names and addresses of people would take a language model.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Protocol, Self

from pydantic import Field

from chassis.settings import Settings, SettingsError
from contracts.providers.signals import Finding
from provider_worker.checks.base import CHECKS_SETTING, Check, Options, Subject, read_options
from provider_worker.checks.json_texts import texts

FLAG = "pii"
MOST_CHARACTERS = 200_000
"""Presidio reads a million characters a second and cannot be stopped; a longer text is left to a person."""

_MOST_PLACES = 20


class PiiOptions(Options):
    """The kinds to find, by Presidio's names, the least certainty, and whether a find asks for a person by itself."""

    entities: tuple[str, ...] = Field(
        ("CREDIT_CARD", "CRYPTO", "EMAIL_ADDRESS", "IBAN_CODE", "IP_ADDRESS", "PHONE_NUMBER", "US_SSN"), min_length=1
    )
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.4
    force: bool = True


class Detector(Protocol):
    """A detector of personal data."""

    @property
    def kinds(self) -> list[str]:
        """The kinds that it can find, by name, in order."""
        ...

    def find(self, text: str, kinds: tuple[str, ...], threshold: float) -> list[str]:
        """Return the kind of each find that is at least so certain."""
        ...


class PiiCheck(Check):
    """Personal data."""

    name = "pii"

    def __init__(self, detector: Detector, options: PiiOptions) -> None:
        self._detector = detector
        self._options = options

    @classmethod
    def from_settings(cls, settings: Settings, options: Mapping[str, Any]) -> Self:  # noqa: ARG003 - the interface's
        """Load the detector. Raises SettingsError where it is not installed."""
        wanted = read_options(PiiOptions, cls.name, options)
        try:
            from provider_worker.checks.presidio import PresidioDetector  # noqa: PLC0415 - heavy, and an extra
        except ModuleNotFoundError as error:
            message = f"needs {error.name}; install sayso-provider-worker[pii]"
            raise SettingsError(f"{CHECKS_SETTING}: /{cls.name}: {message}") from None
        detector = PresidioDetector()
        for index, entity in enumerate(wanted.entities):
            if entity not in detector.kinds:
                message = f"no such kind; there are {', '.join(detector.kinds)}"
                raise SettingsError(f"{CHECKS_SETTING}: /{cls.name}/entities/{index}: {message}")
        return cls(detector, wanted)

    async def look(self, subject: Subject) -> Finding | None:
        """Find kinds of personal data in the texts, with their places."""
        found = list(texts(subject.looked_at))
        if sum(len(text) for _, text in found) > MOST_CHARACTERS:
            message = f"More than {MOST_CHARACTERS} characters of text are not looked through for personal data."
            return Finding(check=self.name, code="pii_not_looked_for", message=message, force=self._options.force)
        # A thread of its own: detecting is all computing, and other orders go on beside it.
        return self._finding(await asyncio.to_thread(self._detect, found))

    def _detect(self, found: list[tuple[str, str]]) -> list[tuple[str, str]]:
        kinds, threshold = self._options.entities, self._options.threshold
        hits = [(kind, place) for place, text in found for kind in self._detector.find(text, kinds, threshold)]
        return [(kind, self._without_finds(place)) for kind, place in hits]

    def _without_finds(self, place: str) -> str:
        """Return a place up to the first member whose name is personal data itself."""
        told = ""
        for name in place.split("/")[1:]:
            if self._detector.find(name, self._options.entities, self._options.threshold):
                break
            told += f"/{name}"
        return told

    def _finding(self, hits: list[tuple[str, str]]) -> Finding | None:
        if not hits:
            return None
        counts = Counter(kind for kind, _ in hits)
        places = list(dict.fromkeys(place for _, place in hits))
        what = ", ".join(f"{kind.lower().replace('_', ' ')} ({count})" for kind, count in sorted(counts.items()))
        where = (places[0] or "/") if len(places) == 1 else f"{len(places)} places"
        return Finding(
            check=self.name,
            code="pii_found",
            message=f"Looks like personal data: {what}, in {where}.",
            flags=(FLAG,),
            force=self._options.force,
            data={"kinds": dict(sorted(counts.items())), "places": places[:_MOST_PLACES]},
        )
