"""The machine's own Chromium as a process under Playwright for Python, which downloads a browser by a command of its own alone."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator

from playwright.async_api import Browser, async_playwright

NAMES = ("chromium", "chromium-browser")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A name that a page asks for beside loopback's is not looked up, also where there is a network.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
_KEEPS_NO_PAGES = "--disable-back-forward-cache"
"""An argument of Playwright's own: it misses the events of a page that comes back, and waits for them."""


class ChromiumMissing(Exception):
    """The tests in a browser need Chromium, and none is on the path. On Debian: apt-get install chromium."""

    def __str__(self) -> str:
        return str(self.__doc__)


def executable() -> str:
    """Return where Chromium lies. Raises ChromiumMissing."""
    for name in NAMES:
        if (found := shutil.which(name)) is not None:
            return found
    raise ChromiumMissing


@contextlib.asynccontextmanager
async def running_chromium(*, keeps_pages: bool = False) -> AsyncIterator[Browser]:
    """Run it with a new profile directory, which is removed afterwards. Raises ChromiumMissing.

    With `keeps_pages` "back" shows pages as they were left, as people's browsers do.
    """
    program, left_out = executable(), [_KEEPS_NO_PAGES] if keeps_pages else []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, args=ARGUMENTS, ignore_default_args=left_out
        )
        try:
            yield browser
        finally:
            await browser.close()
