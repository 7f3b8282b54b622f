"""JSON Web Tokens: one verifier, by the rules of RFC 8725. It fetches nothing, and believes nothing that a token says of its own key.

The times of a token are judged here and not by `pyjwt`, which knows no clock but the machine's.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jwt
from pydantic import Field, ValidationError

from contracts.identity import Principal, Role
from contracts.message import Identifier, Message
from identity.errors import Unauthenticated, UnusableKeySet, UnusableRules
from identity.json_objects import read_object
from identity.key_set import KeySetFile
from identity.resolved import Resolved

MAX_LENGTH = 8192
"""Characters of a token: what is longer is not looked at."""

MIN_SECRET_BYTES = 32
LEEWAY_SECONDS = 30
"""By how much an issuer's clock may differ from ours."""

_SEGMENTS = 3
_SHARED = "HS256"
_LAST = 253_000_000_000
"""Seconds of the year 9987: the calendar ends soon after."""

_REQUIRED = ["iss", "aud", "sub", "tenant", "exp"]

_WHY: dict[type[Exception], str] = {
    jwt.InvalidIssuerError: "it is of another issuer",
    jwt.InvalidAudienceError: "it is for another audience",
    jwt.InvalidSignatureError: "its signature does not fit",
}

_Seconds = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=_LAST)]


@dataclass(frozen=True, slots=True)
class JwtRules:
    """How tokens are verified: by a shared secret, by the public keys of a file, or by either; always of one issuer for one audience."""

    secret: str | None = field(default=None, repr=False)
    jwks_file: Path | None = None
    issuer: str | None = None
    audience: str | None = None


class _Claims(Message):
    sub: Identifier
    tenant: Identifier
    exp: _Seconds
    nbf: _Seconds = 0
    iat: _Seconds = 0
    jti: Identifier | None = None
    name: Identifier | None = None
    roles: tuple[Role, ...] = ()
    groups: tuple[Identifier, ...] = ()


class _Key(NamedTuple):
    name: str
    algorithm: str
    material: bytes | jwt.PyJWK


class TokenVerifier:
    """Turns tokens into principals. A key has one algorithm, and a token that names another one is refused."""

    def __init__(self, rules: JwtRules, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the key file, if there is one. `clock` says when to look at it again. Raises UnusableRules."""
        if rules.secret is None and rules.jwks_file is None:
            raise UnusableRules("tokens need a secret or a JWKS file")
        if not rules.issuer or not rules.audience:
            raise UnusableRules(f"tokens need an {'audience' if rules.issuer else 'issuer'}")
        self._issuer, self._audience = rules.issuer, rules.audience
        self._secret = None if rules.secret is None else _shared_key(rules.secret)
        try:
            self._file = None if rules.jwks_file is None else KeySetFile(rules.jwks_file, clock)
        except UnusableKeySet as error:
            raise UnusableKeySet(f"the JWKS file is unusable: {error}") from None

    def verify(self, token: str, at: datetime) -> Resolved:
        """Return who comes with a token, which ends LEEWAY_SECONDS after its `exp`.

        Raises Unauthenticated: `credential_malformed` for what is no token, `credential_expired`, `token_invalid` with the reason.
        """
        if len(token) > MAX_LENGTH or not token.isascii() or token.count(".") != _SEGMENTS - 1:
            raise Unauthenticated("credential_malformed")
        header, body, _ = token.split(".")
        key = self._key_for(_read_header(header))
        try:
            jwt.decode(
                token,
                key.material,
                algorithms=[key.algorithm],
                issuer=self._issuer,
                audience=self._audience,
                options={"require": _REQUIRED, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated("token_invalid", _why(error)) from None
        return _resolved(_read_claims(body), key.name, at)

    def _key_for(self, header: dict[str, Any]) -> _Key:
        """Return the key that a header asks for. `kid` is compared with those of the file, and with nothing else."""
        if "crit" in header or "b64" in header:
            raise Unauthenticated("token_invalid", "it asks for an extension that is not known here")
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm == _SHARED and self._secret is not None:
            return _Key(_SHARED.lower(), _SHARED, self._secret)
        keys = () if self._file is None else self._file.keys()
        fitting = [key for key in keys if key.algorithm == algorithm and (kid is None or key.kid == kid)]
        if len(fitting) != 1:
            raise Unauthenticated("token_invalid", "its header does not fit exactly one key")
        (key,) = fitting
        return _Key(key.kid or key.algorithm.lower(), key.algorithm, key.public)


def _shared_key(secret: str) -> bytes:
    key = secret.encode()
    if len(key) < MIN_SECRET_BYTES:
        raise UnusableRules(f"the secret of tokens has fewer than {MIN_SECRET_BYTES} bytes")
    try:
        return bytes(jwt.get_algorithm_by_name(_SHARED).prepare_key(key))
    except jwt.InvalidKeyError:
        raise UnusableRules("the secret of tokens is a public key or a certificate, which is no secret") from None


def _read_segment(segment: str) -> dict[str, Any]:
    return read_object(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))


def _read_header(segment: str) -> dict[str, Any]:
    try:
        return _read_segment(segment)
    except ValueError:
        raise Unauthenticated("credential_malformed") from None


def _read_claims(segment: str) -> _Claims:
    try:
        return _Claims.model_validate(_read_segment(segment))
    except ValidationError as error:
        wrong = sorted({str(fault["loc"][0]) for fault in error.errors(include_input=False, include_url=False)})
        raise Unauthenticated("token_invalid", f"malformed claims: {', '.join(wrong)}") from None
    except ValueError as error:
        raise Unauthenticated("token_invalid", f"malformed claims: {error}") from None


def _resolved(claims: _Claims, key: str, at: datetime) -> Resolved:
    ends_at = _moment(claims.exp + LEEWAY_SECONDS)
    if ends_at <= at:
        raise Unauthenticated("credential_expired")
    if max(claims.nbf, claims.iat) > at.timestamp() + LEEWAY_SECONDS:
        raise Unauthenticated("token_invalid", "it is not valid yet")
    try:
        principal = Principal(
            tenant=claims.tenant,
            subject=claims.sub,
            name=claims.name,
            roles=tuple(dict.fromkeys(claims.roles)),
            groups=tuple(dict.fromkeys(claims.groups)),
            credential=f"jwt:{claims.jti or key}",
        )
    except ValidationError:
        raise Unauthenticated("token_invalid", "malformed claims: jti") from None
    return Resolved(principal, ends_at)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)


def _why(error: jwt.PyJWTError) -> str:
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"the claim {error.claim} is missing"
    return next((why for kind, why in _WHY.items() if isinstance(error, kind)), "it is malformed")
