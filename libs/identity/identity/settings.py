"""What the settings say about credentials."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from chassis.settings import Settings, SettingsError
from identity.absences.substitutes import Substitutes
from identity.errors import UnusableRules
from identity.people.sightings import Sightings
from identity.ports import Absences, Keys, People, Secrets, Sessions
from identity.resolver import Resolver
from identity.tokens.internal import InternalTokens
from identity.tokens.verifier import JwtRules, TokenVerifier


class Kept(NamedTuple):
    """All that identity keeps, in PostgreSQL or in memory."""

    keys: Keys
    sessions: Sessions
    absences: Absences
    people: People
    secrets: Secrets


def create_resolver(settings: Settings, kept: Kept, now: Callable[[], datetime]) -> Resolver | None:
    """Return who resolves credentials; None while authentication is off. Raises SettingsError, for rules of tokens that are not used too."""
    resolver = Resolver(
        kept.keys,
        _token_verifier(settings),
        now,
        internal=InternalTokens(kept.secrets, now),
        sessions=kept.sessions,
        substitutes=Substitutes(kept.absences, now),
        sightings=Sightings(kept.people, now),
    )
    return resolver if settings.auth == "on" else None


def _token_verifier(settings: Settings) -> TokenVerifier | None:
    secret = None if settings.jwt_secret is None else settings.jwt_secret.get_secret_value()
    file = settings.jwks_file
    takes_tokens = secret is not None or file is not None
    named = {"SAYSO_JWT_ISSUER": settings.jwt_issuer, "SAYSO_JWT_AUDIENCE": settings.jwt_audience}
    if lone := [name for name, value in named.items() if value is not None and not takes_tokens]:
        raise SettingsError(f"{lone[0]}: there is neither SAYSO_JWT_SECRET nor SAYSO_JWKS_FILE to verify tokens with")
    if takes_tokens and (missing := [name for name, value in named.items() if value is None]):
        raise SettingsError(f"{missing[0]}: tokens are verified for one issuer and one audience, and it is not given")
    if not takes_tokens:
        return None
    try:
        return TokenVerifier(JwtRules(secret, file, settings.jwt_issuer, settings.jwt_audience))
    except UnusableRules as error:
        raise SettingsError(f"{'SAYSO_JWKS_FILE' if secret is None else 'SAYSO_JWT_SECRET'}: {error}") from None
