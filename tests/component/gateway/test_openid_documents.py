"""Documents of a provider that lies or fails: none of them stops the gateway or is used, and the page says so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from starlette.responses import Response

from local_stack.ports import free_port
from testkit.identity_provider.browser import Browser, consented
from testkit.identity_provider.proxy import DISCOVERY, KEYS, TOKEN, ProviderProxy

from .memory_site import Site
from .openid_site import browser_at, failed, openid_site


@pytest_asyncio.fixture
async def site(identity_provider: ProviderProxy, tmp_path: Path) -> AsyncIterator[Site]:
    """Run a gateway of the test's own: it keeps the documents that it fetched."""
    async with openid_site(identity_provider.issuer, tmp_path) as running:
        yield running


@pytest_asyncio.fixture
async def browser(site: Site, identity_provider: ProviderProxy) -> AsyncIterator[Browser]:
    """Open a browser; the provider knows ann, a reviewer."""
    async with browser_at(site, identity_provider) as opened:
        yield opened


def answer_with(document: Any, _: Any) -> Any:
    """Return another document in place of an answer."""
    return document


async def test_a_key_set_that_is_no_key_set_is_said_in_the_log(
    site: Site, browser: Browser, identity_provider: ProviderProxy
) -> None:
    """And the page says that the provider does not answer."""
    sets: list[Any] = [{"keys": []}, {"keys": [{"kty": "oct", "k": "eA"}]}, {"keys": 5}, [], {"keys": [5, {}]}]
    for found in sets:
        identity_provider.changes[KEYS] = partial(answer_with, found)
        await failed(site, browser, 503, "does not answer")


@pytest.mark.parametrize("path", [DISCOVERY, KEYS, TOKEN])
@pytest.mark.parametrize(
    "answer",
    [
        lambda _: Response(b"x" * 10_000_000, media_type="application/json"),
        lambda _: Response(b"\x1f\x8b", headers={"content-encoding": "gzip"}, media_type="application/json"),
        lambda _: Response("[" * 100_000, media_type="application/json"),
        lambda _: Response("no JSON"),
        lambda _: Response("later", 503),
        lambda _: Response("moved", 302, {"location": "http://127.0.0.1:1/"}),
    ],
    ids=["10 MB", "compressed", "nested", "no JSON", "503", "moved"],
)
async def test_an_answer_that_is_none_gives_a_clear_page(
    browser: Browser, identity_provider: ProviderProxy, path: str, answer: Callable[[Any], Response]
) -> None:
    """Whatever document it is; and the next sign-in works."""
    identity_provider.changes[path] = answer
    where = await browser.http.get("/signin/openid")
    if path != DISCOVERY:
        where = await browser.http.get(await consented(where.headers["location"], "ann"))
    assert (where.status_code, where.headers["retry-after"]) == (503, "5")
    assert "does not answer" in where.text
    del identity_provider.changes[path]
    assert (await browser.sign_in("ann")).status_code == 303


@pytest.mark.parametrize(("methods", "status"), [(["client_secret_post"], 303), (["private_key_jwt"], 503), ([], 503)])
async def test_the_secret_is_sent_as_the_provider_takes_it(
    browser: Browser, identity_provider: ProviderProxy, methods: list[str], status: int
) -> None:
    """In the form, where the head is not taken; where it is not taken at all, the page says so."""
    identity_provider.changes[DISCOVERY] = lambda found: {**found, "token_endpoint_auth_methods_supported": methods}
    led = await browser.http.get("/signin/openid")
    assert led.status_code == status
    if led.is_redirect:
        assert (await browser.http.get(await consented(led.headers["location"], "ann"))).status_code == 303


@pytest.mark.parametrize(
    "change",
    [
        lambda found: {**found, "issuer": "https://evil.example"},
        lambda found: {**found, "issuer": found["issuer"] + "/"},
        lambda found: {**found, "token_endpoint": "http://evil.example/token"},
        lambda found: {**found, "jwks_uri": "file:///etc/passwd"},
        lambda found: {**found, "authorization_endpoint": "//evil.example"},
        lambda found: {**found, "jwks_uri": "http://[::1"},
        lambda found: {name: value for name, value in found.items() if name != "jwks_uri"},
    ],
)
async def test_a_discovery_document_of_another_is_not_used(
    browser: Browser, identity_provider: ProviderProxy, change: Callable[[dict[str, Any]], Any]
) -> None:
    """It names the issuer that was set, and addresses where codes and secrets travel under TLS."""
    identity_provider.changes[DISCOVERY] = change
    assert (await browser.http.get("/signin/openid")).status_code == 503


async def test_a_provider_that_is_down_stops_no_gateway(tmp_path: Path) -> None:
    """It starts, shows its page, and takes keys; the way to the provider says that it does not answer."""
    async with (
        openid_site(f"http://127.0.0.1:{free_port()}", tmp_path) as site,
        (browser := Browser(app=site.app)).http,
    ):
        assert (await browser.http.get("/signin")).status_code == 200
        assert (await browser.http.get("/signin/openid")).status_code == 503
