"""Prices of calls, from dated tables: one ships with each vendor, and the operator's own goes over it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, TypeAdapter, ValidationError

from chassis.settings import SettingsError
from contracts.json_text import JsonRefused, read_json
from contracts.validation.faults import explain

Prices = Mapping[str, Decimal]
"""By kind of thing that is paid for, such as `input` tokens; in US dollars, per million where it is tokens."""

MILLION = Decimal(1_000_000)
CHARACTERS_OF_A_TOKEN = 4
"""For estimates: as vendors put it for English text."""

MOST_COUNTED = 10_000_000_000
MOST_PAID = Decimal(1_000_000)
"""A single call with more tokens, or of a higher cost, does not exist: what says so is not believed."""

_LONGEST_NUMBER = 40

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
    """Return the first count among `names` in an answer's usage, or None. A count that cannot be true is none."""
    found = (_whole(usage.get(name)) for name in names)
    return next((value for value in found if value is not None), None)


def told_cost(usage: Mapping[str, Any]) -> Decimal | None:
    """Return the cost in US dollars that a server tells with its usage, as OpenRouter does, or None.

    With the caller's own key at another vendor (`is_byok`), that vendor's charge comes on top.
    """
    told = usage.get("cost")
    cost = _money(told.get("total_cost") if isinstance(told, Mapping) else told)
    details = usage.get("cost_details")
    if cost is None or usage.get("is_byok") is not True or not isinstance(details, Mapping):
        return cost
    return cost + (_money(details.get("upstream_inference_cost")) or 0)


def _whole(value: Any) -> int | None:
    """Return a count; some servers write it as a text, or with a fraction of nothing."""
    number = _number(value)
    if number is None or number != number.to_integral_value() or not 0 <= number <= MOST_COUNTED:
        return None
    return int(number)


def _money(value: Any) -> Decimal | None:
    number = _number(value)
    return None if number is None or not 0 <= number <= MOST_PAID else number


def _number(value: Any) -> Decimal | None:
    if isinstance(value, int):
        return None if isinstance(value, bool) or value > MOST_COUNTED else Decimal(value)
    if not isinstance(value, float | str) or (isinstance(value, str) and len(value) > _LONGEST_NUMBER):
        return None
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _read(path: Path) -> dict[str, _Models]:
    try:
        body = path.read_bytes()
        prices = _PROVIDERS.validate_json(body)
        read_json(body)
    except JsonRefused as error:
        raise BadPrices(f"SAYSO_PRICES: {path}: {error}") from error
    except ValidationError as error:
        raise BadPrices(f"SAYSO_PRICES: {path}: {explain(error)}") from error
    except OSError as error:
        raise BadPrices(f"SAYSO_PRICES: {path}: {error.strerror}") from error
    return prices
