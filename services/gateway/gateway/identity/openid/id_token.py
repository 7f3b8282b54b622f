"""ID tokens: the signature by `joserfc`, the claims by the rules of OpenID Connect in `authlib`. Fetches nothing."""

from __future__ import annotations

import warnings
from datetime import datetime
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError, SecurityWarning
from joserfc.jwk import JWKRegistry, KeySet

from gateway.identity.openid.errors import ProviderUnavailable, SignInRefused
from gateway.identity.openid.rules import OpenIdRules
from identity.tokens.claims import LEEWAY_SECONDS
from identity.tokens.json_objects import read_object

_FAMILIES = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
ALGORITHMS = (*_FAMILIES, "EdDSA", "Ed25519")
"""All are asymmetric: who knows the public key can sign nothing."""

_KINDS = ("RSA", "EC", "OKP")
_MALFORMED = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What the libraries raise for tokens and keys of any form."""


class UnknownKey(SignInRefused):
    """The token was signed by a key that the provider does not show."""


def read_key_set(document: bytes) -> KeySet:
    """Return the public keys of a JWKS that may sign; others are left out. Raises ProviderUnavailable where none is left."""
    try:
        entries = read_object(document)["keys"]
        keys = [key for entry in entries if (key := _key(entry)) is not None]
    except _MALFORMED:
        raise ProviderUnavailable("its key set is malformed") from None
    if not keys:
        raise ProviderUnavailable("its key set has no key that signs ID tokens")
    return KeySet(keys)


def _key(entry: Any) -> Any:
    if not isinstance(entry, dict) or entry.get("kty") not in _KINDS or entry.get("use", "sig") != "sig":
        return None
    try:
        return JWKRegistry.import_key({name: value for name, value in entry.items() if name != "d"})
    except _MALFORMED:  # a kind of key that a later library knows
        return None


def verified_claims(
    token: object, keys: KeySet, rules: OpenIdRules, nonce: str, access_token: object, now: datetime
) -> dict[str, Any]:
    """Return the claims of an ID token that this provider issued for this client and this flow.

    Raises UnknownKey, which may be a newer one; SignInRefused with the reason.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # `EdDSA` has a newer name, and providers use both
            decoded = jwt.decode(str(token), keys, algorithms=list(ALGORITHMS))
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            {
                "iss": {"essential": True, "value": rules.issuer},
                "aud": {"essential": True, "value": rules.client_id},
            },
            {"nonce": nonce, "client_id": rules.client_id, "access_token": access_token},
        )
        claims.validate(now=int(now.timestamp()), leeway=LEEWAY_SECONDS)
    except InvalidKeyIdError:
        raise UnknownKey("The provider's answer is signed by a key that the provider does not show.") from None
    except JoseError as error:
        raise SignInRefused(f"The provider's answer does not hold: {_why(error)}.") from None
    except _MALFORMED:
        raise SignInRefused("The provider's answer does not hold: it is malformed.") from None
    return dict(claims)


def _why(error: JoseError) -> str:
    claim = getattr(error, "claim", None)
    return f"{error.error.replace('_', ' ')}" + (f" `{claim}`" if claim else "")
