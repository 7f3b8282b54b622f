"""`/signin` and `/signout`: where a browser gets its session, by an OpenID Connect provider or by an API key that is typed in."""

from __future__ import annotations

import re
import secrets
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from chassis.http.problems import issue
from chassis.settings import Settings
from gateway.http.body import read_body
from gateway.http.parameters import NoParameters
from gateway.http.problems import Problem, invalid
from gateway.identity.browser import (
    HOME,
    SESSION_SECONDS,
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
from gateway.identity.openid.flow import Flows
from gateway.identity.openid.provider import OpenIdProvider
from gateway.identity.openid.rules import open_id_rules
from gateway.identity.sign_in import SignIn
from gateway.pages.provider_sign_in import BEGIN, CALLBACK, ProviderSignIn
from gateway.pages.sign_in_html import explained, form_page
from gateway.pages.sign_in_parameters import Destination
from gateway.ports import Adapters
from identity.errors import Unauthenticated
from identity.resolver import Resolver
from identity.sessions.cookies import cookie_name, read_cookies, written
from identity.sessions.record import csrf_token

FORM_COOKIE = "sayso_form"
"""Ties the form to its browser: a foreign page cannot sign a person in under a key of its own."""

_FORM_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def sign_in_router(settings: Settings, adapters: Adapters, resolver: Resolver | None) -> APIRouter:
    """Return the routes of signing in and out; while authentication is off they lead to the first page. Raises SettingsError."""
    rules = open_id_rules(settings)
    router = APIRouter(include_in_schema=False)
    if resolver is None:
        for method, path in (("GET", SIGN_IN), ("POST", SIGN_IN), ("POST", "/signout")):
            router.add_api_route(path, _home, methods=[method])
        return router
    sign_in = SignIn(resolver, adapters.sessions, adapters.now)
    pages = SignInPages(sign_in, None if rules is None else rules.host)
    router.add_api_route(SIGN_IN, pages.show)
    router.add_api_route(SIGN_IN, pages.take_key, methods=["POST"])
    router.add_api_route("/signout", pages.sign_out, methods=["POST"])
    if rules is not None:
        provider = OpenIdProvider(rules, adapters.now)
        by_provider = ProviderSignIn(sign_in, provider, Flows(adapters.secrets, adapters.now))
        router.add_api_route(BEGIN, by_provider.begin)
        router.add_api_route(CALLBACK, by_provider.end)
    return router


async def _home() -> Response:
    return see_other(HOME)


class SignInPages:
    """The endpoints."""

    def __init__(self, sign_in: SignIn, host: str | None) -> None:
        """`host` is the provider's, by which people know it."""
        self._sign_in = sign_in
        self._host = host

    async def show(self, request: Request, which: Annotated[Destination, Query()]) -> Response:
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
        return await explained(self._take_key(request, key[0].strip() if key else "", where), where)

    async def _take_key(self, request: Request, key: str, where: str) -> Response:
        try:
            text = await self._sign_in.by_key(key, session_text(request.scope))
        except Unauthenticated as error:
            return self._form(request, where, str(error), 401)
        return see_other(where, with_session(request.scope, text))

    async def sign_out(self, request: Request) -> Response:
        """End the session, here and in the browser."""
        return await explained(self._sign_out(request))

    async def _sign_out(self, request: Request) -> Response:
        if "authorization" not in request.headers:
            await self._sign_in.end(session_text(request.scope))
        return see_other(SIGN_IN, without_session(request.scope))

    def _form(self, request: Request, leads_to: str, wrong: str | None = None, status: int = 200) -> Response:
        text = _form_text(request) or secrets.token_urlsafe(32)
        shown = form_page(csrf_token(text), leads_to, self._host, wrong, status)
        secure = is_secure(request.scope)
        cookie = written(cookie_name(secure=secure, name=FORM_COOKIE), text, SESSION_SECONDS, secure=secure)
        return with_cookies(shown, cookie)


def _form_text(request: Request) -> str | None:
    """Return what ties the form to its browser, if the browser has one."""
    name = cookie_name(secure=is_secure(request.scope), name=FORM_COOKIE)
    found = read_cookies(request.scope["headers"], name)
    return found[0] if len(found) == 1 and _FORM_TOKEN.fullmatch(found[0]) else None
