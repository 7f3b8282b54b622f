"""`/signin/openid` and `/signin/callback`: a browser goes to the OpenID Connect provider, and comes back with its answer."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from gateway.identity.browser import SIGN_IN, is_secure, see_other, session_text, with_cookies, with_session
from gateway.identity.openid.errors import SignInRefused
from gateway.identity.openid.flow import COOKIE, LIFETIME_SECONDS, Flow, Flows, cookie_of, new_flow
from gateway.identity.openid.provider import OpenIdProvider
from gateway.identity.sign_in import SignIn
from gateway.pages.sign_in_html import explained
from gateway.pages.sign_in_parameters import Destination
from identity.sessions.cookies import cookie_name, read_cookies, written

BEGIN, CALLBACK = f"{SIGN_IN}/openid", f"{SIGN_IN}/callback"

MOST_FLOWS = 5
"""Sign-ins that one browser may have begun and not ended; one more forgets them."""

_DENIED = "access_denied"
_ERROR = re.compile(r"[a-z_]{1,60}")


class ProviderSignIn:
    """The endpoints."""

    def __init__(self, sign_in: SignIn, provider: OpenIdProvider, flows: Flows) -> None:
        self._sign_in = sign_in
        self._provider = provider
        self._flows = flows

    async def begin(self, request: Request, which: Annotated[Destination, Query()]) -> Response:
        """Lead to the provider. What the answer has to fit stands encrypted in a cookie."""
        return await explained(self._begin(request, which.next), which.next)

    async def _begin(self, request: Request, leads_to: str) -> Response:
        flow = new_flow(f"{request.url.scheme}://{request.url.netloc}{CALLBACK}", leads_to)
        address = await self._provider.address_for(flow)
        sealed = await self._flows.sealed(flow)
        pending = [name for name in request.cookies if COOKIE in name]
        forgotten = pending if len(pending) >= MOST_FLOWS else []
        secure = is_secure(request.scope)
        cookies = [written(name, "", 0, secure=secure) for name in forgotten]
        name = cookie_name(secure=secure, name=cookie_of(flow.state))
        return see_other(address, *cookies, written(name, sealed, LIFETIME_SECONDS, secure=secure))

    async def end(self, request: Request) -> Response:
        """Take the provider's answer, for the flow that this browser began, once."""
        secure = is_secure(request.scope)
        name = cookie_name(secure=secure, name=cookie_of(request.query_params.get("state", "")))
        answer = await explained(self._end(request, read_cookies(request.scope["headers"], name)))
        return with_cookies(answer, written(name, "", 0, secure=secure))

    async def _end(self, request: Request, sealed: list[str]) -> Response:
        said = request.query_params
        if not sealed and "error" in said:  # some providers leave out the state then
            raise _refused(said["error"])
        if len(sealed) != 1:
            raise SignInRefused("This sign-in was begun in another browser, was used before, or is too old.")
        flow = await self._flows.opened(sealed[0], said.get("state", ""))
        return await explained(self._finish(request, flow), flow.next)

    async def _finish(self, request: Request, flow: Flow) -> Response:
        said, issuer = request.query_params, self._provider.rules.issuer
        if "error" in said:
            raise _refused(said["error"])
        if said.get("iss", issuer) != issuer:
            raise SignInRefused("This answer comes from another provider.")
        if not (code := said.get("code")):
            raise SignInRefused("The provider's answer has no code.")
        text = await self._sign_in.by_provider(self._provider, code, flow, session_text(request.scope))
        return see_other(flow.next, with_session(request.scope, text))


def _refused(error: str) -> SignInRefused:
    shown = error if _ERROR.fullmatch(error) else "an error of its own"
    return SignInRefused(
        "You cancelled the sign-in." if error == _DENIED else f"The provider does not sign you in: {shown}."
    )
