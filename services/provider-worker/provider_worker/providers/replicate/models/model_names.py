"""How Replicate's models are named: `owner/name`, `owner/name:version`, or a version's id alone. Looks nothing up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts.providers.call import Failure, Issue
from provider_worker.providers.base import ProviderError

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_VERSION = r"[0-9a-f]{64}"
_REFERENCE = re.compile(rf"(?:(?P<model>{_NAME}/{_NAME})(?::(?P<version>{_VERSION}))?|(?P<alone>{_VERSION}))")


@dataclass(frozen=True, slots=True)
class Reference:
    """A model, a version of one, or a version without its model's name."""

    model: str | None
    version: str | None

    def __str__(self) -> str:
        return ":".join(part for part in (self.model, self.version) if part)


def parse(text: object) -> Reference | None:
    """Read a reference, or return None where it is none."""
    found = _REFERENCE.fullmatch(text.strip()) if isinstance(text, str) else None
    return None if found is None else Reference(found["model"], found["version"] or found["alone"])


def choose(model: str | None, tool: Mapping[str, Any] | None) -> Reference:
    """Return the model of a run, at the version that the agent tool knows. Raises ProviderError.

    A tool's name may be any words; then its version names the model.
    """
    named, latest = parse(model), parse((tool or {}).get("latest_version"))
    if named is None and latest is None:
        raise _unknown(model)
    if named is None or latest is None:
        return named or latest or Reference(None, None)
    is_same = latest.model in (None, named.model)
    return Reference(named.model, latest.version) if named.version is None and named.model and is_same else named


def of_payload(payload: Mapping[str, Any]) -> Reference | None:
    """Return the reference that a payload names."""
    return parse(payload.get("version") or payload.get("model"))


def named_again(reference: Reference | None, before: str | None) -> str | None:
    """Return the name of a payload's model: `before` if the payload still names what `before` does."""
    asked = parse(before)
    if reference is None or asked is None:
        return before if reference is None else str(reference)
    is_same = asked.model in (None, reference.model) and asked.version in (None, reference.version)
    return before if is_same else str(reference)


def _unknown(model: str | None) -> ProviderError:
    message = "Name a model of Replicate's as owner/name, owner/name:version, or by its version's 64 digits"
    message += "." if model is None else f"; {model[:100]!r} is none of these."
    issue = Issue(code="model_unknown", message=message, path="/model")
    return ProviderError(Failure(code="model_unknown", message=message, issues=(issue,)))
