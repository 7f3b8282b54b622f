"""The base of every contract: a frozen model, and the identifiers and texts that outsiders give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints

ID_NAMESPACE = "countersign"
"""The product's first name. Ids that are derived from it stand in ledgers, so it never changes."""


class Message(BaseModel):
    """A frozen contract. Readers ignore members they do not know, so that contracts can grow by adding."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")

    @classmethod
    def of(cls, **members: Any) -> Self:
        """Return a message of all its members, which are not validated again: a constructor at a third of its price."""
        made = cls.__new__(cls)
        _become(made, members, set(members))
        return made

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """Return a copy with other values, which are not validated again: `model_copy`, at a third of its price."""
        copy = self.__class__.__new__(self.__class__)
        given = self.__pydantic_fields_set__
        # Most messages have all members set: they share one set, which is never changed.
        _become(copy, {**self.__dict__, **changes}, given if given.issuperset(changes) else given.union(changes))
        return copy


_set = object.__setattr__


def _become(message: Message, members: dict[str, Any], given: set[str]) -> None:
    _set(message, "__dict__", members)
    _set(message, "__pydantic_fields_set__", given)
    _set(message, "__pydantic_extra__", None)
    _set(message, "__pydantic_private__", None)


_NAME = r"^[^\x00-\x1f\x7f]+$"
StoredIdentifier = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_NAME)]
"""A name in a stored or published message: no control characters of ASCII, at most 200 characters."""

_UNSEEN = r"\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
"""Controls, separators of lines, marks that turn the direction of a text, and marks without width.

The two joiners stay: U+200C and U+200D change how names of some languages are written.
"""

_SEEN = f"^[^{_UNSEEN}]+$"
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_SEEN)]
"""A name given from outside: at most 200 characters, none of which is unseen or changes how the others are shown.

Every edge takes names by this rule. Stored messages keep `StoredIdentifier`: a name that was taken once can always be read.
"""

Text = Annotated[str, StringConstraints(max_length=20_000)]
"""Free text by a person: a comment, a reason."""

READABLE = rf"[^\s{_UNSEEN}]"
"""The pattern of a text that is more than blanks."""

_HEX = r"^[0-9a-f]{64}$"
Sha256 = Annotated[str, StringConstraints(pattern=_HEX)]

Timestamp = AwareDatetime

PATTERNS = {
    _NAME: "must have no control characters",
    _SEEN: "must have no characters that are unseen, or that turn the direction of a text",
    READABLE: "must have something to read in it",
    _HEX: "must be 64 hexadecimal digits in lower case",
}
"""What each pattern asks for, in words."""
