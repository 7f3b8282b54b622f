"""A site whose people sign in: the services with authentication, an identity provider, and a run that waits for a decision."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Page

from local_stack.credential import headers_of
from local_stack.wait import until
from testkit.chromium.visitors import Visitor
from testkit.identity_provider.proxy import ProviderProxy
from testkit.kafka.servers import Kafka
from testkit.stack.keys import make_keys
from testkit.stack.services import Stack, running_stack
from testkit.stack.user import WAIT_SECONDS

PEOPLE = {"ann": ("reviewer",), "zoe": ()}
"""Whom the provider knows, with their roles."""

_RUN = {
    "prompt": "a red bicycle",
    "provider": "sandbox",
    "hitl_config": {"policy": "require_human", "allowed_steps": ["payload_review"]},
}


@dataclass(frozen=True)
class SignedSite:
    """The site, as its tests use it."""

    stack: Stack
    provider: ProviderProxy
    run_path: str
    """Of the run that waits."""

    @property
    def url(self) -> str:
        """Where people open it."""
        return self.stack.gateway_url

    async def view(self) -> Any:
        """Return the run that waits, as the administrator sees it."""
        headers = headers_of(self.stack.admin_key)
        async with httpx.AsyncClient(base_url=self.url, headers=headers, trust_env=False) as http:
            answer = await http.get(self.run_path)
            return answer.raise_for_status().json()

    async def key(self, subject: str, *roles: str) -> str:
        """Make an API key for a person."""
        return (await make_keys(self.url, self.stack.admin_key, {subject: {"roles": roles}}))[subject]

    async def sign_in(self, visitor: Visitor, subject: str = "ann", address: str = "") -> Page:
        """Open an address, by default the first page's, sign in by the provider and be led back; return the page."""
        address = address or f"{self.url}/"
        self.expect_provider(visitor)
        page = visitor.page
        await page.goto(address)
        await page.get_by_role("link", name="Sign in with").click()
        await page.locator("input[name=sub]").fill(subject)
        await page.get_by_role("button", name="Authorize", exact=True).click()
        await page.wait_for_url(address)
        return page

    def expect_provider(self, visitor: Visitor) -> None:
        """Expect what the provider's page does, which is not ours: it asks a foreign host for its style."""
        visitor.incidents.expect(f"^foreign: GET https://cdn.jsdelivr.net/.* of {self.provider.issuer}/")


@contextlib.asynccontextmanager
async def signed_site(
    kafka: Kafka, database_url: str, provider: ProviderProxy, folder: Path
) -> AsyncIterator[SignedSite]:
    """Run the site."""
    for subject, roles in PEOPLE.items():
        await provider.know(subject, name=subject.title(), roles=roles)
    async with running_stack(kafka, database_url, folder, provider.settings) as stack:
        headers = headers_of(stack.admin_key)
        async with httpx.AsyncClient(base_url=stack.gateway_url, headers=headers, trust_env=False) as http:
            started = await http.post("/hitl/runs", json=_RUN)
            assert started.status_code == 201, started.text
            site = SignedSite(stack, provider, f"/hitl/runs/{started.json()['run_id']}")

            async def is_shown() -> bool:
                return "1 waiting" in (await http.get("/")).text

            await until(is_shown, WAIT_SECONDS, "the run on the page")
        yield site
