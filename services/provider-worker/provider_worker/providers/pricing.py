"""What calls cost, from dated tables that are data: a table a vendor ships with it, and one of the operator's own lies over it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from contracts.base import explain

Prices = Mapping[str, Decimal]
"""By kind of thing that is paid for, such as `input` tokens; in US dollars, per million where it is tokens."""

_MODELS: TypeAdapter[dict[str, dict[str, Decimal]]] = TypeAdapter(dict[str, dict[str, Decimal]])


class BadPrices(ValueError):
    """The operator's table cannot be read; the message names the file and the place."""


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

    def under(self, path: Path | None, provider: str) -> Self:
        """Return the table with what the operator's file says of `provider` over it: `{provider: {model: {kind: price}}}`.

        Raises BadPrices.
        """
        return self if path is None else type(self)({**self.models, **_read(path).get(provider, {})}, self.as_of)


def _read(path: Path) -> dict[str, dict[str, dict[str, Decimal]]]:
    try:
        document: Any = json.loads(path.read_text())
        return {str(provider): _MODELS.validate_python(models) for provider, models in dict(document).items()}
    except ValidationError as error:
        raise BadPrices(f"{path}: {explain(error)}") from error
    except (OSError, ValueError, TypeError) as error:
        raise BadPrices(f"{path}: {error}") from error
