"""What one sign-in has to remember between its two requests. It stands encrypted in a cookie of the browser that began it."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable
from datetime import datetime
from uuid import NAMESPACE_URL, UUID, uuid5

from cryptography.fernet import Fernet, InvalidToken
from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.identity.openid.errors import SignInRefused
from identity.ports import Secrets
from identity.secrets.installation_key import InstallationKey

LIFETIME_SECONDS = 600
COOKIE = "sayso_signin_"
"""With the flow's name behind it: two tabs that sign in at once have a cookie each."""

_LABEL = b"sayso sign-in flow v1"
_SESSIONS = uuid5(NAMESPACE_URL, "sayso:session")


class Flow(BaseModel):
    """One sign-in: the values that tie its answer to its question, and where it leads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: str
    nonce: str
    verifier: str
    redirect_uri: str
    next: str

    @property
    def session_id(self) -> UUID:
        """The id of the session that it makes. A second session of one flow is refused as one that exists."""
        return uuid5(_SESSIONS, self.state)


def new_flow(redirect_uri: str, leads_to: str) -> Flow:
    """Begin a sign-in. The verifier of PKCE has 256 random bits, as the state and the nonce have."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    return Flow(state=state, nonce=nonce, verifier=verifier, redirect_uri=redirect_uri, next=leads_to)


def cookie_of(state: str) -> str:
    """Return the name of the cookie of a flow."""
    return COOKIE + hashlib.sha256(state.encode(errors="replace")).hexdigest()[:16]


class Flows:
    """Seals flows for the browser, and opens what it brings back."""

    def __init__(self, secrets: Secrets, now: Callable[[], datetime]) -> None:
        self._key = InstallationKey(secrets, _LABEL)
        self._now = now

    async def sealed(self, flow: Flow) -> str:
        """Return a flow as a cookie's value, which holds for LIFETIME_SECONDS. Raises IdentityUnavailable."""
        return (await self._fernet()).encrypt_at_time(flow.model_dump_json().encode(), self._seconds()).decode()

    async def opened(self, sealed: str, state: str) -> Flow:
        """Return the flow of a cookie that belongs to this state. Raises SignInRefused, IdentityUnavailable."""
        fernet = await self._fernet()
        try:
            token = sealed.encode("latin-1", errors="replace")
            age = self._seconds() - fernet.extract_timestamp(token)
            flow = Flow.model_validate_json(fernet.decrypt(token))
        except (InvalidToken, ValidationError):
            raise SignInRefused("This sign-in was not begun here.") from None
        if abs(age) >= LIFETIME_SECONDS:
            raise SignInRefused(f"This sign-in took longer than {LIFETIME_SECONDS // 60} minutes.")
        if not secrets.compare_digest(flow.state.encode(), state.encode(errors="replace")):
            raise SignInRefused("This answer belongs to another sign-in.")
        return flow

    async def _fernet(self) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(await self._key.get()))

    def _seconds(self) -> int:
        return int(self._now().timestamp())
