"""From a credential to its principal: API keys by `ports.Keys`, internal tokens by theirs, all else as a token.

It names no driver and no HTTP framework.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from cachetools import TTLCache

from identity.api_keys import KeyRecord, digest_of, is_key, key_id_of, principal_of
from identity.claims import MAX_LENGTH
from identity.errors import Unauthenticated
from identity.internal_tokens import InternalTokens, is_internal
from identity.ports import Keys
from identity.resolved import Resolved
from identity.tokens import TokenVerifier

CACHE_SECONDS = 2.0
"""For so long a key is believed to be as it was read. A revocation is in force everywhere within 5 s."""

MOST_KEYS = 10_000
MOST_UNKNOWN = 10_000
"""In a map of their own, so that a flood of wrong keys displaces no right one."""

_CREDENTIAL = re.compile(rf"[A-Za-z0-9._~+/-]{{1,{MAX_LENGTH}}}=*")

_Lookup = asyncio.Task[KeyRecord | None]


class Resolver:
    """Resolves credentials. Without `keys` every API key is unknown; without `verifier` no token is accepted, without `internal` no internal one.

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
    ) -> None:
        self._keys = keys
        self._verifier = verifier
        self._internal = internal
        self._now = now
        # Lookups from their begin on, so that those of one key share one query, and its age counts from when it was asked.
        self._lookups: TTLCache[str, _Lookup] = TTLCache(MOST_KEYS, CACHE_SECONDS, clock)
        self._unknown: TTLCache[str, None] = TTLCache(MOST_UNKNOWN, CACHE_SECONDS, clock)

    async def resolve(self, authorization: str | None) -> Resolved:
        """Resolve the value of a header `Authorization`. Raises Unauthenticated, IdentityUnavailable."""
        if authorization is None or not authorization.strip(" \t"):
            raise Unauthenticated("credential_missing")
        scheme, _, credential = authorization.strip(" \t").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("credential_malformed")
        return await self.resolve_credential(credential.lstrip(" "))

    async def resolve_credential(self, credential: str) -> Resolved:
        """Resolve an API key, an internal token or another token, as it comes in a message. Raises Unauthenticated, IdentityUnavailable."""
        if _CREDENTIAL.fullmatch(credential) is None:
            raise Unauthenticated("credential_malformed")
        if is_key(credential):
            return await self._resolve_key(digest_of(credential))
        if is_internal(credential):
            return await self._resolve_internal(credential)
        if self._verifier is None:
            raise Unauthenticated("token_invalid", "only API keys are accepted here")
        return self._verifier.verify(credential, self._now())

    async def ended(self, held: Sequence[Resolved]) -> list[Resolved]:
        """Return which of these do not hold any more: expired, or by a key that was revoked. One query for all; raises IdentityUnavailable.

        The cache is not asked. A token ends by its time alone.
        """
        now = self._now()
        ids = {key_id for one in held if (key_id := key_id_of(one.principal.credential)) is not None}
        gone = await self._keys.ended(ids, now) if ids and self._keys is not None else set()
        return [one for one in held if not one.holds_at(now) or key_id_of(one.principal.credential) in gone]

    async def _resolve_internal(self, credential: str) -> Resolved:
        if self._internal is None:
            raise Unauthenticated("token_invalid", "internal tokens are not accepted here")
        return await self._internal.verify(credential, self._now())

    async def _resolve_key(self, sha256: str) -> Resolved:
        record = await self._find(sha256)
        if record is None:
            raise Unauthenticated("credential_unknown")
        match record.state_at(self._now()):
            case "revoked":
                raise Unauthenticated("credential_revoked")
            case "expired":
                raise Unauthenticated("credential_expired")
            case "active":
                return Resolved(principal_of(record), record.expires_at)

    async def _find(self, sha256: str) -> KeyRecord | None:
        if self._keys is None or sha256 in self._unknown:
            return None
        lookup = self._lookups.get(sha256)
        if lookup is None:
            lookup = self._lookups[sha256] = asyncio.ensure_future(self._keys.find(sha256))
            lookup.add_done_callback(partial(self._settle, sha256))
        # Shielded: a caller that leaves takes the answer from no other.
        return await asyncio.shield(lookup)

    def _settle(self, sha256: str, lookup: _Lookup) -> None:
        """Keep an answer, and no failure."""
        is_answered = not lookup.cancelled() and lookup.exception() is None
        if is_answered and lookup.result() is not None:
            return
        if self._lookups.get(sha256) is lookup:
            self._lookups.pop(sha256, None)
        if is_answered:
            self._unknown[sha256] = None
