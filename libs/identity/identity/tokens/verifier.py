"""JSON Web Tokens: one verifier, by the rules of RFC 8725. It fetches nothing, and believes nothing that a token says of its own key."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import jwt
from pydantic import ValidationError

from contracts.identity import Principal, Right, Role
from contracts.message import Identifier
from identity.errors import Unauthenticated, UnusableKeySet, UnusableRules
from identity.resolved import Resolved
from identity.tokens.claims import SHARED, TimedClaims, end_of, read_header, verified_claims
from identity.tokens.key_set import KeySetFile

MIN_SECRET_BYTES = 32

_RIGHTS = frozenset(Right)
_ROLES = {role.value: role for role in Role}


@dataclass(frozen=True, slots=True)
class JwtRules:
    """How tokens are verified: by a shared secret, by the public keys of a file, or by either; always of one issuer for one audience."""

    secret: str | None = field(default=None, repr=False)
    jwks_file: Path | None = None
    issuer: str | None = None
    audience: str | None = None


class _Claims(TimedClaims):
    sub: Identifier
    tenant: Identifier
    jti: Identifier | None = None
    name: Identifier | None = None
    roles: tuple[str, ...] = ()
    groups: tuple[Identifier, ...] = ()
    scope: str = ""


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
        try:
            header = read_header(token)
        except ValueError:
            raise Unauthenticated("credential_malformed") from None
        key = self._key_for(header)
        claims = verified_claims(token, _Claims, key.material, key.algorithm, self._issuer, self._audience)
        ends_at = end_of(claims, at)
        return Resolved(_principal(claims, key.name), ends_at)

    def _key_for(self, header: dict[str, Any]) -> _Key:
        """Return the key that a header asks for. `kid` is compared with those of the file, and with nothing else."""
        if "crit" in header or "b64" in header:
            raise Unauthenticated("token_invalid", "it asks for an extension that is not known here")
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm == SHARED and self._secret is not None:
            return _Key(SHARED.lower(), SHARED, self._secret)
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
        return bytes(jwt.get_algorithm_by_name(SHARED).prepare_key(key))
    except jwt.InvalidKeyError:
        raise UnusableRules("the secret of tokens is a public key or a certificate, which is no secret") from None


def _roles(names: tuple[str, ...]) -> tuple[Role, ...]:
    """Return the roles among these names. Others give no right: identity providers put roles of their own into each token."""
    return tuple(_ROLES[name] for name in dict.fromkeys(names) if name in _ROLES)


def _scopes(claim: str) -> tuple[str, ...]:
    """Return the rights among the words of a `scope` (RFC 8693, section 4.2).

    Words that are none of ours narrow nothing: identity providers put `openid profile email` into each token.
    """
    return tuple(word for word in dict.fromkeys(claim.split(" ")) if word in _RIGHTS)


def _principal(claims: _Claims, key: str) -> Principal:
    try:
        return Principal(
            tenant=claims.tenant,
            subject=claims.sub,
            name=claims.name,
            roles=_roles(claims.roles),
            groups=tuple(dict.fromkeys(claims.groups)),
            scopes=_scopes(claims.scope),
            credential=f"jwt:{claims.jti or key}",
        )
    except ValidationError:
        raise Unauthenticated("token_invalid", "malformed claims: jti") from None
