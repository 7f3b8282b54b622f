"""The pages of signing in, as text: the form, and what is said where it did not work. They run no script."""

from __future__ import annotations

from collections.abc import Awaitable
from html import escape
from urllib.parse import quote

import structlog
from fastapi.responses import Response

from gateway.http.html import page
from gateway.identity.browser import HOME, sign_in_for
from gateway.identity.openid.errors import ProviderUnavailable, SignInRefused
from identity.errors import IdentityUnavailable

_UNAUTHORIZED, _UNAVAILABLE = 401, 503
_log = structlog.get_logger(__name__)

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sayso: {title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/page.css">
<body class="narrow">
<h1>{heading}</h1>
{content}
</body>
</html>
"""
_PROVIDER = """<p><a class="button" href="/signin/openid?next={next}">Sign in with {host}</a></p>
<p class="or">or</p>"""
_KEY = """<form method="post" action="/signin">
<input type="hidden" name="csrf_token" value="{token}"><input type="hidden" name="next" value="{next}">
<label for="key">API key</label>
{wrong}<input id="key" name="key" type="password" autocomplete="off" autocapitalize="off" spellcheck="false" required{state}>
<button{rank}>Sign in</button>
</form>"""
_AGAIN = '<p>{why}</p>\n<p><a class="button" href="{again}">Start again</a></p>'


def form_page(token: str, leads_to: str, host: str | None, wrong: str | None, status: int) -> Response:
    """Return the page that offers the provider `host`, where there is one, and a field for an API key."""
    offered = "" if host is None else _PROVIDER.format(next=quote(leads_to, safe=""), host=escape(host))
    told = "" if wrong is None else f'<p class="wrong" role="alert" id="wrong">{escape(wrong)}</p>\n'
    invalid = "" if wrong is None else ' aria-invalid="true" aria-describedby="wrong"'
    focus = " autofocus" if host is None or wrong is not None else ""
    rank = "" if host is None else ' class="second"'
    form = _KEY.format(wrong=told, token=token, next=escape(leads_to), state=invalid + focus, rank=rank)
    html = _PAGE.format(title="Sign in", heading="Sign in to Sayso", content=f"{offered}\n{form}")
    shown = page(html, status, forms=True)
    if status == _UNAUTHORIZED:
        shown.headers["WWW-Authenticate"] = 'Bearer realm="sayso"'
    return shown


def _failed_page(title: str, why: str, leads_to: str, status: int) -> Response:
    """Return the page that says why one is not signed in, and offers to start again."""
    content = _AGAIN.format(why=escape(why), again=escape(sign_in_for(leads_to)))
    shown = page(_PAGE.format(title=title, heading=title, content=content), status)
    if status == _UNAVAILABLE:
        shown.headers["Retry-After"] = "5"
    return shown


async def explained(answering: Awaitable[Response], leads_to: str = HOME) -> Response:
    """Return an answer, or the page that says why there is none and offers to start again, which leads where one wanted to go."""
    try:
        return await answering
    except SignInRefused as error:
        return _failed_page("You are not signed in", str(error), leads_to, 400)
    except ProviderUnavailable as error:
        _log.warning("the identity provider does not answer as it should", reason=str(error))
        why = "The identity provider does not answer just now. Try again in a moment."
        return _failed_page("Not available", why, leads_to, 503)
    except IdentityUnavailable:
        why = "The database does not answer just now. Try again in a moment."
        return _failed_page("Not available", why, leads_to, 503)
