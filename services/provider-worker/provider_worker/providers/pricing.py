"""Prices of calls, from dated tables: one ships with each vendor, and the operator's own goes over it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, TypeAdapter, ValidationError

from chassis.settings import SettingsError
from contracts.message import explain

Prices = Mapping[str, Decimal]
"""By kind of thing that is paid for, such as `input` tokens; in US dollars, per million where it is tokens."""

MILLION = Decimal(1_000_000)
CHARACTERS_OF_A_TOKEN = 4
"""For estimates: as vendors put it for English text."""

_Models = dict[str, dict[str, Annotated[Decimal, Field(ge=0)]]]
_MODELS: TypeAdapter[_Models] = TypeAdapter(_Models)
_PROVIDERS: TypeAdapter[dict[str, _Models]] = TypeAdapter(dict[str, _Models])


class BadPrices(SettingsError):
    """The operator's table cannot be read; the message names the setting, the file and the place."""


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices by model. A model that is not in it has no known price."""

    models: Mapping[str, Prices]
    as_of: str

    @classmethod
    def of(cls, package: str) -> Self:
        """Read the `prices.json` that ships in a provider's package."""
        document = json.loads((files(package) / "prices.json").read_text())
        return cls(_MODELS.validate_python(document["models"]), document["as_of"])

    def prices_of(self, model: Any, dated: re.Pattern[str]) -> Prices | None:
        """Return the prices of a model; None where they are unknown. A snapshot, whose name ends as in `dated`, has its model's prices."""
        return self.models.get(model) or self.models.get(dated.sub("", model)) if isinstance(model, str) else None

    def under(self, path: Path | None, provider: str, needed: Sequence[Collection[str]] = ()) -> Self:
        """Return the table with the operator's prices for `provider` over it: `{provider: {model: {kind: price}}}`.

        A model needs all prices of one of the collections in `needed`. Raises BadPrices.
        """
        if path is None:
            return self
        own = _read(path).get(provider, {})
        for model, prices in own.items():
            if needed and not any(prices.keys() >= set(kinds) for kinds in needed):
                wanted = " or ".join(" and ".join(kinds) for kinds in needed)
                raise BadPrices(f"SAYSO_PRICES: {path}: /{provider}/{model}: its prices need {wanted}")
        return type(self)({**self.models, **own}, self.as_of)


def refuse_unknown_providers(path: Path | None, known: Sequence[str]) -> None:
    """Raise BadPrices where the operator's table names a provider that is not installed: its prices would be passed over in silence."""
    for name in [] if path is None else _read(path):
        if name not in known:
            raise BadPrices(f"SAYSO_PRICES: {path}: /{name}: no such provider; known are {', '.join(known)}")


def count(usage: Mapping[str, Any], *names: str) -> int | None:
    """Return the first count among `names` in an answer's usage, or None."""
    found = (usage.get(name) for name in names)
    return next((value for value in found if isinstance(value, int) and value >= 0), None)


def _read(path: Path) -> dict[str, _Models]:
    try:
        return _PROVIDERS.validate_json(path.read_bytes())
    except ValidationError as error:
        raise BadPrices(f"SAYSO_PRICES: {path}: {explain(error)}") from error
    except OSError as error:
        raise BadPrices(f"SAYSO_PRICES: {path}: {error.strerror}") from error
