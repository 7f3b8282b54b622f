"""A browser that signs in: it keeps cookies, follows where it is led, and fills in the forms of the pages."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx
from starlette.types import ASGIApp

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class Browser:
    """One browser at one gateway: at an address, or at an application in this process."""

    def __init__(self, base_url: str = "http://127.0.0.1", app: ASGIApp | None = None) -> None:
        transport = None if app is None else httpx.ASGITransport(app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url=base_url, headers=HTML)

    @property
    def session(self) -> str | None:
        """The session that it has."""
        return next((one.value for one in self.http.cookies.jar if one.name.endswith("sayso_session")), None)

    async def sign_in_by_key(self, key: str, leads_to: str = "/") -> httpx.Response:
        """Open the page, type a key in and send the form."""
        shown = await self.http.get("/signin", params={"next": leads_to})
        return await self.http.post("/signin", data={**hidden(shown.text), "key": key})

    async def begin(self, leads_to: str = "/") -> str:
        """Choose the provider; return where one is led."""
        led = await self.http.get("/signin/openid", params={"next": leads_to})
        assert led.status_code == 303, led.text
        return led.headers["location"]

    async def sign_in(self, subject: str, leads_to: str = "/") -> httpx.Response:
        """Sign in with the provider from end to end."""
        return await self.http.get(await consented(await self.begin(leads_to), subject))

    async def csrf_token(self) -> str:
        """Return what its writes carry."""
        return str((await self.http.get("/me")).json()["csrf_token"])


async def consented(address: str, subject: str | None) -> str:
    """Sign in at the provider's own page, or deny that; return where it leads back."""
    async with httpx.AsyncClient() as http:
        form = {"action": "deny"} if subject is None else {"sub": subject}
        answer = await http.post(address, data=form)
    assert answer.is_redirect, answer.text
    return answer.headers["location"]


def hidden(page: str) -> dict[str, str]:
    """Return the fields of a page's forms that a person does not see."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page)
    return {name: unescape(value) for name, value in found}


def query_of(address: str) -> dict[str, str]:
    """Return the parameters of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
