"""A gateway in memory where people of an OpenID Connect provider sign in, and a browser of one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from chassis.failpoints import utc_now
from gateway.ports import Now
from testkit.identity_provider.browser import Browser
from testkit.identity_provider.proxy import ProviderProxy

from .memory_site import Site, memory_site

CLIENT = "sayso"


@asynccontextmanager
async def openid_site(issuer: str, folder: Path, now: Now = utc_now, **settings: Any) -> AsyncIterator[Site]:
    """Run a gateway that lets people sign in."""
    told = {"oidc_issuer": issuer, "oidc_client_id": CLIENT, "oidc_client_secret": "s3cret", **settings}
    async with memory_site(now, auth="on", data_dir=folder, **told) as running:
        yield running


@asynccontextmanager
async def browser_at(site: Site, provider: ProviderProxy) -> AsyncIterator[Browser]:
    """Open a browser; the provider knows ann, a reviewer."""
    await provider.know("ann", name="Ann", roles=["reviewer", "offline_access"], groups=["legal"])
    async with (opened := Browser(app=site.app)).http:
        yield opened


async def failed(site: Site, browser: Browser, status: int, said: str) -> None:
    """Sign in, and expect the page that says why not, and that no session is kept."""
    kept = len(site.sessions.records)
    answer = await browser.sign_in("ann")
    assert (answer.status_code, browser.session) == (status, None), answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert said in answer.text
    assert 'href="/signin"' in answer.text
    assert "Traceback" not in answer.text
    assert len(site.sessions.records) == kept
