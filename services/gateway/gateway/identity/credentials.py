"""What the settings say about credentials: which are accepted, or that none is asked for."""

from __future__ import annotations

from chassis.settings import Settings, SettingsError
from gateway.ports import Now
from identity.errors import UnusableRules
from identity.ports import Keys
from identity.resolver import Resolver
from identity.tokens import JwtRules, TokenVerifier


def create_resolver(settings: Settings, keys: Keys, now: Now) -> Resolver | None:
    """Return who resolves credentials; None while authentication is off. Raises SettingsError."""
    secret = None if settings.jwt_secret is None else settings.jwt_secret.get_secret_value()
    file = settings.jwks_file
    takes_tokens = secret is not None or file is not None
    named = {"SAYSO_JWT_ISSUER": settings.jwt_issuer, "SAYSO_JWT_AUDIENCE": settings.jwt_audience}
    if lone := [name for name, value in named.items() if value is not None and not takes_tokens]:
        raise SettingsError(f"{lone[0]}: there is neither SAYSO_JWT_SECRET nor SAYSO_JWKS_FILE to verify tokens with")
    if takes_tokens and (missing := [name for name, value in named.items() if value is None]):
        raise SettingsError(f"{missing[0]}: tokens are verified for one issuer and one audience, and it names neither")
    rules = JwtRules(secret, file, settings.jwt_issuer, settings.jwt_audience)
    try:
        verifier = TokenVerifier(rules) if takes_tokens else None
    except UnusableRules as error:
        raise SettingsError(f"{'SAYSO_JWKS_FILE' if secret is None else 'SAYSO_JWT_SECRET'}: {error}") from None
    return Resolver(keys, verifier, now) if settings.auth == "on" else None
