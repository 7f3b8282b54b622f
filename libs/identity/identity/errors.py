"""The errors of identity. No message has any part of a credential.

IdentityError
├── Unauthenticated
├── IdentityUnavailable
├── KeyExists
├── AbsenceOverlaps
├── SubstitutionCircle
├── TooManyAbsences
└── UnusableRules: a ValueError too
    └── UnusableKeySet
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

Code = Literal[
    "credential_missing",
    "credential_in_address",
    "credential_malformed",
    "credential_unknown",
    "credential_expired",
    "credential_revoked",
    "token_invalid",
    "session_ended",
]

_MESSAGES: dict[Code, str] = {
    "credential_missing": "A credential is needed: Authorization: Bearer, and an API key or a JWT.",
    "credential_in_address": "A credential comes in the field Authorization and never in an address, which is logged: replace this one.",
    "credential_malformed": "The credential cannot be read: it is cut off, mistyped or of another kind.",
    "credential_unknown": "There is no such API key.",
    "credential_expired": "The credential has expired.",
    "credential_revoked": "The API key was revoked.",
    "token_invalid": "The token is not accepted.",
    "session_ended": "The session has ended: sign in again.",
}


class IdentityError(Exception):
    """Something that this package expects to go wrong."""


class Unauthenticated(IdentityError):
    """A call has no credential that holds. `code` says why; the message is fit for an outsider."""

    def __init__(self, code: Code, why: str | None = None) -> None:
        message = _MESSAGES[code]
        super().__init__(message if why is None else f"{message[:-1]}: {why}.")
        self.code: Code = code


class IdentityUnavailable(IdentityError):
    """The database does not answer, so that a key is neither known nor unknown."""


class KeyExists(IdentityError):
    """There is a key or a session with this id or this hash already."""

    code = "key_exists"


class AbsenceOverlaps(IdentityError):
    """The person is absent at a part of this time already, by another rule."""

    code = "absence_overlaps"

    def __init__(self, begins_at: datetime, ends_at: datetime) -> None:
        super().__init__(f"the person is absent already from {begins_at.isoformat()} until {ends_at.isoformat()}")


class SubstitutionCircle(IdentityError):
    """Substitutes would stand in for each other in a circle, or in too long a chain."""

    code = "substitution_circle"

    def __init__(self, chain: Sequence[str]) -> None:
        super().__init__(f"this leads in a circle, or too far: {' → '.join(chain)}")


class TooManyAbsences(IdentityError):
    """A person, or a tenant, has as many absences that have not ended as it may have, or a substitute as many persons."""

    code = "too_many_absences"


class UnusableRules(IdentityError, ValueError):
    """Tokens cannot be verified by these rules. The message names what is wrong, and fits in one line."""

    code = "jwt_rules_unusable"


class UnusableKeySet(UnusableRules):
    """A set of public keys cannot be used."""

    code = "jwks_unusable"
