"""The check `moderation`: OpenAI's moderation endpoint, through its SDK, on the texts of prompts, payloads and responses.

The texts are sent to OpenAI for that. Tries once; a failure asks for a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import SecretStr

from chassis.http.upstream import parse_base_url
from chassis.settings import Settings, SettingsError
from contracts.providers.signals import Finding
from provider_worker.checks.base import CHECKS_SETTING, Check, Options, Subject, read_options
from provider_worker.checks.json_texts import joined
from provider_worker.providers.http.base_url import with_version
from provider_worker.providers.http.bounds import kept_by

MODEL = "omni-moderation-latest"
PIECE = 20_000
MOST_PIECES = 10
"""The endpoint takes 32,768 tokens at once, and an array of texts costs no more than one."""

_FLAGS = {"sexual": "nsfw", "violence/graphic": "nsfw"}


class ModerationOptions(Options):
    """The model, its server, and whether a flagged text asks for a person by itself."""

    model: str = MODEL
    base_url: str | None = None
    force: bool = True


class ModerationCheck(Check):
    """Harmful content, by OpenAI's categories."""

    name = "moderation"

    def __init__(self, key: SecretStr, options: ModerationOptions) -> None:
        import httpx2  # noqa: PLC0415 - with the SDK, which takes 15 MB; not every worker wants this check
        import openai  # noqa: PLC0415

        self._key = key
        self._options = options
        self._client = openai.AsyncOpenAI(
            api_key=key.get_secret_value(),
            base_url=options.base_url,
            max_retries=0,
            timeout=10,
            http_client=openai.DefaultAsyncHttpxClient(limits=kept_by(httpx2)),
        )

    @classmethod
    def from_settings(cls, settings: Settings, options: Mapping[str, Any]) -> Self:
        """Make the check with the OpenAI provider's key and server. Raises SettingsError without a key."""
        wanted = read_options(ModerationOptions, cls.name, options)
        if settings.openai_api_key is None:
            raise SettingsError(f"{CHECKS_SETTING}: /{cls.name}: needs OPENAI_API_KEY")
        url = _base_url(wanted.base_url) or settings.openai_base_url
        return cls(settings.openai_api_key, wanted.model_copy(update={"base_url": url and with_version(url)}))

    @property
    def secrets(self) -> tuple[str, ...]:
        """The key."""
        return (self._key.get_secret_value(),)

    async def look(self, subject: Subject) -> Finding | None:
        """Find the flagged categories, with their highest scores."""
        text = joined(subject.looked_at)
        if not text.strip():
            return None
        pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
        if len(pieces) > MOST_PIECES:
            message = f"More than {PIECE * MOST_PIECES} characters of text are not sent to moderation."
            return Finding(check=self.name, code="not_moderated", message=message, force=self._options.force)
        answer = await self._client.moderations.create(model=self._options.model, input=pieces)
        if len(answer.results) != len(pieces):
            raise ValueError("the moderation endpoint did not answer for every text")
        scores: dict[str, float] = {}
        for result in answer.results:
            flagged, scored = result.categories.to_dict(), result.category_scores.to_dict()
            for category in (name for name, yes in flagged.items() if yes):
                scores[category] = max(scores.get(category, 0.0), float(str(scored.get(category, 0))))
        return self._finding(scores)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _finding(self, scores: Mapping[str, float]) -> Finding | None:
        if not scores:
            return None
        return Finding(
            check=self.name,
            code="moderation_flagged",
            message=f"Moderation flagged: {', '.join(sorted(scores))}.",
            flags=tuple(dict.fromkeys(flag_of(category) for category in sorted(scores))),
            force=self._options.force,
            data={"categories": {category: round(score, 4) for category, score in sorted(scores.items())}},
        )


def flag_of(category: str) -> str:
    """Return the safety flag of a category: `nsfw` for sexual or graphic content, else the category's first word."""
    main = category.split("/", 1)[0]
    return _FLAGS.get(category) or _FLAGS.get(main) or main.replace("-", "_")


def _base_url(given: str | None) -> str | None:
    try:
        return None if given is None else parse_base_url(given)
    except ValueError as error:
        raise SettingsError(f"{CHECKS_SETTING}: /{ModerationCheck.name}/base_url: {error}") from None
