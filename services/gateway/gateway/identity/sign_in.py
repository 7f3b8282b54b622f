"""Sessions begin and end here: by an API key that is typed in, or by what an OpenID Connect provider says."""

from __future__ import annotations

from uuid import UUID, uuid4

from contracts.identity import Principal
from gateway.identity.openid.claims import principal_of
from gateway.identity.openid.errors import SignInRefused
from gateway.identity.openid.flow import Flow
from gateway.identity.openid.provider import OpenIdProvider
from gateway.ports import Now
from identity.errors import KeyExists, Unauthenticated
from identity.keys.record import is_key
from identity.ports import Sessions
from identity.resolver import Resolver
from identity.sessions.record import new_session, session_record


class SignIn:
    """Makes sessions. A sign-in always makes a new one, and ends the one that the browser had."""

    def __init__(self, resolver: Resolver, sessions: Sessions, now: Now) -> None:
        self._resolver = resolver
        self._sessions = sessions
        self._now = now

    async def by_key(self, key: str, former: str | None) -> str:
        """Return the text of a session for an API key. Raises Unauthenticated, IdentityUnavailable."""
        if not is_key(key):
            raise Unauthenticated("credential_malformed")
        resolved = await self._resolver.resolve_credential(key)
        return await self._begin(resolved.principal, uuid4(), former)

    async def by_provider(self, provider: OpenIdProvider, code: str, flow: Flow, former: str | None) -> str:
        """Return the text of a session for the code of a flow. Raises SignInRefused, ProviderUnavailable, IdentityUnavailable."""
        principal = principal_of(await provider.claims_for(code, flow), provider.rules)
        try:
            return await self._begin(principal, flow.session_id, former)
        except KeyExists:
            raise SignInRefused("This sign-in was used before.") from None

    async def end(self, session: str | None) -> None:
        """End a browser's session, if it has one. Raises IdentityUnavailable."""
        if session is not None:
            await self._resolver.end_session(session)

    async def _begin(self, principal: Principal, session_id: UUID, former: str | None) -> str:
        made = new_session()
        await self._sessions.add(session_record(principal, session_id, self._now()), made.sha256)
        await self.end(former)
        return made.text
