"""`/signin` and `/signout`: where a browser gets its session, by an OpenID Connect provider or by an API key that is typed in."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable
from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from chassis.http.problems import issue
from chassis.settings import Settings
from gateway.http.body import read_body
from gateway.http.parameters import NoParameters, Parameters
from gateway.http.problems import Problem, invalid
from gateway.identity.browser import (
    HOME,
    SIGN_IN,
    is_form,
    is_local,
    is_secure,
    see_other,
    session_text,
    with_cookies,
    with_session,
    without_session,
)
from gateway.identity.csrf import FIELD, MOST_FORM_BYTES, form_values, is_same
from gateway.identity.openid.errors import ProviderUnavailable, SignInRefused
from gateway.identity.openid.flow import COOKIE, LIFETIME_SECONDS, Flows, cookie_of, new_flow
from gateway.identity.openid.provider import OpenIdProvider
from gateway.identity.openid.rules import open_id_rules
from gateway.identity.sign_in import SignIn
from gateway.pages.sign_in_html import failed_page, form_page
from gateway.ports import Adapters
from identity.errors import IdentityUnavailable, Unauthenticated
from identity.resolver import Resolver
from identity.sessions.cookies import cookie_name, read_cookies, written
from identity.sessions.record import LIFETIME, csrf_token

CALLBACK = f"{SIGN_IN}/callback"
FORM_COOKIE = "sayso_form"
"""Ties the form to its browser: a foreign page cannot sign a person in under a key of its own."""

MOST_FLOWS = 5
"""Sign-ins that one browser may have begun and not ended; one more forgets them."""

_SECONDS = int(LIFETIME.total_seconds())
_FORM_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_DENIED = "access_denied"
_ERROR = re.compile(r"[a-z_]{1,60}")
_log = structlog.get_logger(__name__)


def _local(path: str) -> str:
    if not is_local(path):
        raise PydanticCustomError("not_local", "a path of this host, such as /")
    return path


class Leading(Parameters):
    """Where one is led afterwards."""

    next: Annotated[str, AfterValidator(_local)] = HOME


def sign_in_router(settings: Settings, adapters: Adapters, resolver: Resolver | None) -> APIRouter:
    """Return the routes of signing in and out; while authentication is off they lead to the first page. Raises SettingsError."""
    rules = open_id_rules(settings)
    provider = None if rules is None else OpenIdProvider(rules, adapters.now)
    router = APIRouter(include_in_schema=False)
    if resolver is None:
        for method, path in (("GET", SIGN_IN), ("POST", SIGN_IN), ("POST", "/signout")):
            router.add_api_route(path, _home, methods=[method])
        return router
    pages = SignInPages(
        SignIn(resolver, adapters.sessions, adapters.now), provider, Flows(adapters.secrets, adapters.now)
    )
    router.add_api_route(SIGN_IN, pages.show)
    router.add_api_route(SIGN_IN, pages.take_key, methods=["POST"])
    router.add_api_route("/signin/openid", pages.begin)
    router.add_api_route(CALLBACK, pages.end)
    router.add_api_route("/signout", pages.sign_out, methods=["POST"])
    return router


async def _home() -> Response:
    return see_other(HOME)


class SignInPages:
    """The endpoints."""

    def __init__(self, sign_in: SignIn, provider: OpenIdProvider | None, flows: Flows) -> None:
        self._sign_in = sign_in
        self._provider = provider
        self._flows = flows

    async def show(self, request: Request, which: Annotated[Leading, Query()]) -> Response:
        """Show the page."""
        return self._form(request, which.next)

    async def take_key(self, request: Request, _: Annotated[NoParameters, Query()]) -> Response:
        """Make a session for the key of the form, and lead to where one wanted to go."""
        if not is_form(request.scope):
            raise Problem("unsupported_media_type", "send the page's form")
        body = await read_body(request, MOST_FORM_BYTES)
        given, key, leads_to = (form_values(body, name) for name in (FIELD, "key", "next"))
        where = leads_to[0] if leads_to else HOME
        if not is_local(where):
            raise invalid([issue("/next", "not_local", "a path of this host, such as /")])
        token = _form_text(request)
        if token is None or len(given) != 1 or not is_same(given[0], csrf_token(token)):
            return self._form(request, where, "This form was not made for this browser. Send it again.", 403)
        return await _told(self._take_key(request, key[0].strip() if key else "", where))

    async def _take_key(self, request: Request, key: str, where: str) -> Response:
        try:
            text = await self._sign_in.by_key(key, session_text(request.scope))
        except Unauthenticated as error:
            return self._form(request, where, str(error), 401)
        return see_other(where, with_session(request.scope, text, _SECONDS))

    async def begin(self, request: Request, which: Annotated[Leading, Query()]) -> Response:
        """Lead to the provider. What the answer has to fit stands encrypted in a cookie."""
        if self._provider is None:
            raise Problem("not_found", "no OpenID Connect provider is set up here")
        return await _told(self._begin(request, self._provider, which.next))

    async def _begin(self, request: Request, provider: OpenIdProvider, leads_to: str) -> Response:
        flow = new_flow(f"{request.url.scheme}://{request.url.netloc}{CALLBACK}", leads_to)
        address = await provider.address_for(flow)
        sealed = await self._flows.sealed(flow)
        pending = [name for name in request.cookies if COOKIE in name]
        forgotten = pending if len(pending) >= MOST_FLOWS else []
        secure = is_secure(request.scope)
        cookies = [written(name, "", 0, secure=secure) for name in forgotten]
        name = cookie_name(secure=secure, name=cookie_of(flow.state))
        return see_other(address, *cookies, written(name, sealed, LIFETIME_SECONDS, secure=secure))

    async def end(self, request: Request) -> Response:
        """Take the provider's answer, for the flow that this browser began, once."""
        if self._provider is None:
            raise Problem("not_found", "no OpenID Connect provider is set up here")
        secure = is_secure(request.scope)
        name = cookie_name(secure=secure, name=cookie_of(request.query_params.get("state", "")))
        answer = await _told(self._end(request, self._provider, read_cookies(request.scope["headers"], name)))
        return with_cookies(answer, written(name, "", 0, secure=secure))

    async def _end(self, request: Request, provider: OpenIdProvider, sealed: list[str]) -> Response:
        said = request.query_params
        if (error := said.get("error")) is not None:  # some providers leave out the state then
            shown = error if _ERROR.fullmatch(error) else "an error of its own"
            raise SignInRefused(
                "You cancelled the sign-in." if error == _DENIED else f"The provider does not sign you in: {shown}."
            )
        if len(sealed) != 1:
            raise SignInRefused("This sign-in was begun in another browser, was used before, or is too old.")
        flow = await self._flows.opened(sealed[0], said.get("state", ""))
        if said.get("iss", provider.rules.issuer) != provider.rules.issuer:
            raise SignInRefused("This answer comes from another provider.")
        if not (code := said.get("code")):
            raise SignInRefused("The provider's answer has no code.")
        text = await self._sign_in.by_provider(provider, code, flow, session_text(request.scope))
        return see_other(flow.next, with_session(request.scope, text, _SECONDS))

    async def sign_out(self, request: Request) -> Response:
        """End the session, here and in the browser."""
        return await _told(self._sign_out(request))

    async def _sign_out(self, request: Request) -> Response:
        if "authorization" not in request.headers:
            await self._sign_in.end(session_text(request.scope))
        return see_other(SIGN_IN, without_session(request.scope))

    def _form(self, request: Request, leads_to: str, wrong: str | None = None, status: int = 200) -> Response:
        text = _form_text(request) or secrets.token_urlsafe(32)
        host = None if self._provider is None else self._provider.rules.host
        shown = form_page(csrf_token(text), leads_to, host, wrong, status)
        secure = is_secure(request.scope)
        cookie = written(cookie_name(secure=secure, name=FORM_COOKIE), text, _SECONDS, secure=secure)
        return with_cookies(shown, cookie)


def _form_text(request: Request) -> str | None:
    """Return what ties the form to its browser, if the browser has one."""
    name = cookie_name(secure=is_secure(request.scope), name=FORM_COOKIE)
    found = read_cookies(request.scope["headers"], name)
    return found[0] if len(found) == 1 and _FORM_TOKEN.fullmatch(found[0]) else None


async def _told(answering: Awaitable[Response]) -> Response:
    """Return an answer, or the page that says why there is none and offers to start again."""
    try:
        return await answering
    except SignInRefused as error:
        return failed_page("You are not signed in", str(error), 400)
    except ProviderUnavailable as error:
        _log.warning("the identity provider does not answer as it should", reason=str(error))
        return failed_page(
            "Not available", "The identity provider does not answer just now. Try again in a moment.", 503
        )
    except IdentityUnavailable:
        return failed_page("Not available", "The database does not answer just now. Try again in a moment.", 503)
