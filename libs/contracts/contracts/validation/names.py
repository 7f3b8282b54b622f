"""Names that are unknown, and which of the known ones was probably meant. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel

ALIKE, _SIMILAR = 0.86, 0.6
"""How alike two names are by `difflib`: a slip, or one that may be meant."""

MOST_SHOWN = 4
_LONGEST = 100
"""Characters of a name: no name of ours is longer, and what is compared takes time."""


def nearest(name: str, known: Collection[str]) -> list[str]:
    """Return a slip of one name; else the names that have all its words; else what is similar. Names are words with `_` between."""
    if len(name) > _LONGEST:
        return []
    slips = get_close_matches(name, known, n=1, cutoff=ALIKE)
    words = set(name.split("_"))
    longer = sorted(other for other in known if words <= set(other.split("_")))[:MOST_SHOWN]
    return slips or longer or get_close_matches(name, known, n=1, cutoff=_SIMILAR)


def member_names(kind: Any, places: Sequence[str | int]) -> set[str]:
    """Return the names of the members that a value has at `places` of a model, or of a type that is made of models.

    Indexes, names of a mapping and marks of branches lead into what is there.
    """
    models = _models_in(kind)
    for place in places:
        models = {model for field in _fields(models, place) for model in _models_in(field)} or models
    return {field.alias or name for model in models for name, field in model.model_fields.items()}


def _fields(models: set[type[BaseModel]], place: str | int) -> list[Any]:
    return [
        field.annotation
        for model in models
        for name, field in model.model_fields.items()
        if place == (field.alias or name)
    ]


def _models_in(kind: Any) -> set[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {kind}
    return {model for part in get_args(kind) for model in _models_in(part)}
