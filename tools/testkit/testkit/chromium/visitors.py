"""People at a browser: each has cookies and storage of their own, and fails its test by an incident that the test does not expect.

- `chromium`: the session's browser. Without one its tests are skipped with the reason; with `CI=true` they fail.
- `visitor`: a person at a first, empty page. `new_visitor` makes more of them, with options of Playwright's `new_context`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page

from testkit.chromium.incidents import Incidents
from testkit.chromium.program import ChromiumMissing, executable, running_chromium

WAIT_SECONDS = 20


@dataclass(frozen=True)
class Visitor:
    """One person at a browser."""

    context: BrowserContext
    page: Page
    incidents: Incidents


@pytest_asyncio.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """Run the session's browser."""
    missing = None
    try:
        executable()
    except ChromiumMissing as error:
        missing = str(error)
    if missing is not None and os.environ.get("CI") == "true":
        pytest.fail(f"CI=true: {missing}", pytrace=False)
    if missing is not None:
        pytest.skip(missing)
    async with running_chromium() as browser:
        yield browser


@pytest_asyncio.fixture
async def visitor(chromium: Browser) -> AsyncIterator[Visitor]:
    """Give a person at an empty page."""
    async with new_visitor(chromium) as opened:
        yield opened


@contextlib.asynccontextmanager
async def new_visitor(chromium: Browser, **options: Any) -> AsyncIterator[Visitor]:
    """Open a browser for a person; judge its incidents when it is closed. `options` are those of Playwright's `new_context`."""
    async with await chromium.new_context(**options) as context:
        context.set_default_timeout(WAIT_SECONDS * 1000)
        incidents = Incidents(context)
        yield Visitor(context, await context.new_page(), incidents)
    incidents.judge()
