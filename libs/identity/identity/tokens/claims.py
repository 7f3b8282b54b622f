"""What every kind of token shares: its form, its signature, its claims, and how its times are judged. Pure.

The times of a token are judged here and not by `pyjwt`, which knows no clock but the machine's.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

import jwt
from pydantic import Field, ValidationError

from contracts.message import Message
from identity.errors import Unauthenticated
from identity.tokens.json_objects import read_object

MAX_LENGTH = 8192
"""Characters of a token: what is longer is not looked at."""

LEEWAY_SECONDS = 30
"""By how much an issuer's clock may differ from ours."""

SHARED = "HS256"
"""The algorithm of a secret that the issuer and the verifier share."""

_SEGMENTS = 3
_LAST = 253_000_000_000
"""Seconds of the year 9987: the calendar ends soon after."""

_REQUIRED = ["iss", "sub", "tenant", "exp"]

_WHY: dict[type[Exception], str] = {
    jwt.InvalidIssuerError: "it is of another issuer",
    jwt.InvalidAudienceError: "it is for another audience",
    jwt.InvalidSignatureError: "its signature does not fit",
}

_Seconds = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=_LAST)]


class TimedClaims(Message):
    """When a token holds, in seconds of Unix time. Each kind of token adds whom it names."""

    exp: _Seconds
    nbf: _Seconds = 0
    iat: _Seconds = 0


_Claims = TypeVar("_Claims", bound=TimedClaims)


def read_header(token: str) -> dict[str, Any]:
    """Return the header of a token; its signature is not verified. Raises ValueError for what is no token."""
    if len(token) > MAX_LENGTH or not token.isascii() or token.count(".") != _SEGMENTS - 1:
        raise ValueError("it is no token")
    return _read_segment(token.partition(".")[0])


def verified_claims(
    token: str, model: type[_Claims], key: bytes | jwt.PyJWK, algorithm: str, issuer: str, audience: str | None = None
) -> _Claims:
    """Return the claims of a token that this key signed. Call `read_header` first, and judge the times after.

    An audience is required where one is given, and refused where none is. Raises Unauthenticated `token_invalid` with the reason.
    """
    try:
        jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            issuer=issuer,
            audience=audience,
            options={"require": _REQUIRED, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
    except jwt.PyJWTError as error:
        raise Unauthenticated("token_invalid", _why(error)) from None
    return _read_claims(token.split(".")[1], model)


def end_of(claims: TimedClaims, at: datetime) -> datetime:
    """Return when a token ends: LEEWAY_SECONDS after its `exp`.

    Raises Unauthenticated: `credential_expired` if that is over at `at`, `token_invalid` if the token is not valid yet.
    """
    ends_at = datetime.fromtimestamp(0, UTC) + timedelta(seconds=claims.exp + LEEWAY_SECONDS)
    if ends_at <= at:
        raise Unauthenticated("credential_expired")
    if max(claims.nbf, claims.iat) > at.timestamp() + LEEWAY_SECONDS:
        raise Unauthenticated("token_invalid", "it is not valid yet")
    return ends_at


def _read_claims(segment: str, model: type[_Claims]) -> _Claims:
    try:
        return model.model_validate(_read_segment(segment))
    except ValidationError as error:
        wrong = sorted({str(fault["loc"][0]) for fault in error.errors(include_input=False, include_url=False)})
        raise Unauthenticated("token_invalid", f"malformed claims: {', '.join(wrong)}") from None
    except ValueError as error:
        raise Unauthenticated("token_invalid", f"malformed claims: {error}") from None


def _read_segment(segment: str) -> dict[str, Any]:
    return read_object(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))


def _why(error: jwt.PyJWTError) -> str:
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"the claim {error.claim} is missing"
    return next((why for kind, why in _WHY.items() if isinstance(error, kind)), "it is malformed")
