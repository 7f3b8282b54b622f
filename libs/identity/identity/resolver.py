"""From a credential to its principal: API keys by `ports.Keys`, sessions and internal tokens by theirs, all else as a token.

It names no driver and no HTTP framework.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from identity.absences.substitutes import Substitutes
from identity.errors import IdentityUnavailable, Unauthenticated
from identity.keys.record import KeyRecord, digest_of, is_key, key_id_of, principal_of
from identity.lookups import Lookups
from identity.people.sightings import Sightings
from identity.ports import Keys, Sessions
from identity.resolved import Resolved
from identity.sessions import record as session_records
from identity.sessions.record import SessionRecord, is_session, session_id_of
from identity.tokens.claims import MAX_LENGTH
from identity.tokens.internal import InternalTokens, is_internal
from identity.tokens.verifier import TokenVerifier

_CREDENTIAL = re.compile(rf"[A-Za-z0-9._~+/-]{{1,{MAX_LENGTH}}}=*")


class Resolver:
    """Resolves credentials. Without `keys` every API key is unknown, without `sessions` every session.

    Without `verifier` no token is accepted, without `internal` no internal one.

    `now` judges the ends of credentials, `clock` the age of what is cached.
    """

    def __init__(
        self,
        keys: Keys | None,
        verifier: TokenVerifier | None,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
        *,
        internal: InternalTokens | None = None,
        sessions: Sessions | None = None,
        substitutes: Substitutes | None = None,
        sightings: Sightings | None = None,
    ) -> None:
        self._keys = keys
        self._sessions = sessions
        self._verifier = verifier
        self._internal = internal
        self._substitutes = substitutes
        self._sightings = sightings
        self._now = now
        self._known_keys: Lookups[KeyRecord] = Lookups(self._find_key, clock)
        self._known_sessions: Lookups[SessionRecord] = Lookups(self._find_session, clock)

    async def resolve(self, authorization: str | None) -> Resolved:
        """Resolve the value of a header `Authorization`. Raises Unauthenticated, IdentityUnavailable."""
        if authorization is None or not authorization.strip(" \t"):
            raise Unauthenticated("credential_missing")
        scheme, _, credential = authorization.strip(" \t").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("credential_malformed")
        return await self.resolve_credential(credential.lstrip(" "))

    async def resolve_credential(self, credential: str) -> Resolved:
        """Resolve an API key, a session, an internal token or another token, as it comes in a message or a cookie.

        Raises Unauthenticated, IdentityUnavailable.
        """
        (resolved,) = await self.completed([await self._resolve(credential)])
        return resolved

    async def _resolve(self, credential: str) -> Resolved:
        if _CREDENTIAL.fullmatch(credential) is None:
            raise Unauthenticated("credential_malformed")
        if is_key(credential):
            return await self._resolve_key(digest_of(credential))
        if is_session(credential):
            return await self._resolve_session(credential)
        if is_internal(credential):
            return await self._resolve_internal(credential)
        if self._verifier is None:
            raise Unauthenticated("token_invalid", "only API keys are accepted here")
        return await self._noted(self._verifier.verify(credential, self._now()))

    async def resolve_session(self, text: str) -> Resolved:
        """Resolve a session's text, as it comes in a cookie, and nothing else. Raises Unauthenticated `session_ended`, IdentityUnavailable."""
        (resolved,) = await self.completed([await self._resolve_session(text)])
        return resolved

    async def _resolve_session(self, text: str) -> Resolved:
        sha256 = session_records.digest_of(text)
        found = None if sha256 is None else await self._known_sessions.find(sha256)
        if found is None or not found.holds_at(self._now()):
            raise Unauthenticated("session_ended")
        resolved = Resolved(found.principal, found.expires_at)
        return resolved if found.key_id is not None else await self._noted(resolved)

    def forget_absences(self, tenant: str) -> None:
        """Ask the database the next time: this process changed a tenant's absences."""
        if self._substitutes is not None:
            self._substitutes.forget(tenant)

    async def _noted(self, resolved: Resolved) -> Resolved:
        if self._sightings is not None:
            await self._sightings.note(resolved.principal)
        return resolved

    async def refreshed(self, resolved: Resolved) -> Resolved:
        """Return a credential as `completed` does, by what the database says at this moment. Raises IdentityUnavailable."""
        self.forget_absences(resolved.principal.tenant)
        (found,) = await self.completed([resolved])
        return found

    async def completed(self, held: Sequence[Resolved]) -> list[Resolved]:
        """Return credentials with those whom they stand in for now: the same objects where these are the same. Raises IdentityUnavailable."""
        if self._substitutes is None:
            return list(held)
        principals = await self._substitutes.complete([one.principal for one in held])
        return [
            one if principal is one.principal else Resolved(principal, one.ends_at)
            for one, principal in zip(held, principals, strict=True)
        ]

    async def end_session(self, text: str) -> None:
        """End a session, here at once and elsewhere within seconds. Raises IdentityUnavailable."""
        sha256 = session_records.digest_of(text)
        if sha256 is not None and self._sessions is not None:
            await self._sessions.end(sha256, self._now())
            self._known_sessions.forget(sha256)

    async def ended(self, held: Sequence[Resolved]) -> list[Resolved]:
        """Return which of these do not hold any more: expired, or by a key or a session that ended. One query for all.

        The cache is not asked. A token ends by its time alone. While the database is unavailable, what was not ended stays so.
        """
        now = self._now()
        keys = {found for one in held if (found := key_id_of(one.principal.credential)) is not None}
        sessions = {found for one in held if (found := session_id_of(one.principal.credential)) is not None}
        gone = set[UUID]()
        with suppress(IdentityUnavailable):
            gone = await self._ended(sessions, keys, now)
        return [one for one in held if not one.holds_at(now) or _row_of(one) in gone]

    async def _ended(self, sessions: set[UUID], keys: set[UUID], now: datetime) -> set[UUID]:
        if sessions and self._sessions is not None:
            return await self._sessions.ended(sessions, keys, now)
        return await self._keys.ended(keys, now) if keys and self._keys is not None else set()

    async def _resolve_internal(self, credential: str) -> Resolved:
        if self._internal is None:
            raise Unauthenticated("token_invalid", "internal tokens are not accepted here")
        return await self._internal.verify(credential, self._now())

    async def _resolve_key(self, sha256: str) -> Resolved:
        record = await self._known_keys.find(sha256)
        if record is None:
            raise Unauthenticated("credential_unknown")
        match record.state_at(self._now()):
            case "revoked":
                raise Unauthenticated("credential_revoked")
            case "expired":
                raise Unauthenticated("credential_expired")
            case "active":
                return Resolved(principal_of(record), record.expires_at)

    async def _find_key(self, sha256: str) -> KeyRecord | None:
        return None if self._keys is None else await self._keys.find(sha256)

    async def _find_session(self, sha256: str) -> SessionRecord | None:
        return None if self._sessions is None else await self._sessions.find(sha256, self._now())


def _row_of(resolved: Resolved) -> UUID | None:
    credential = resolved.principal.credential
    return key_id_of(credential) or session_id_of(credential)
