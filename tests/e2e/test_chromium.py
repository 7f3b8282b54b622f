"""What goes wrong in a page of the browser fails the test that caused it, unless that test expects it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from testkit.chromium.program import ChromiumMissing, executable
from testkit.chromium.visitors import new_visitor
from testkit.loopback_server import served

PAGE = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/script"></script>'
INCIDENTS = {
    "console.error('spoken')": "^console at .*/script: spoken",
    "setTimeout(() => { throw new Error('thrown') })": "^exception: .*thrown",
    "await fetch('/missing')": "^404: GET .*/missing",
    "await fetch('http://127.0.0.1:1/', {mode: 'no-cors'}).catch(() => 0)": "^failed: GET http://127.0.0.1:1/",
    "await fetch('https://elsewhere.example/', {mode: 'no-cors'}).catch(() => 0)": "^foreign: GET https://elsewhere.example/",
    "document.body.style = 'color: red'; document.body.innerHTML = '<p style=\"color: red\">'": "Content Security Policy",
}


async def run(chromium: Browser, script: str, *expected: str) -> None:
    """Run a script in a page of a new visitor, to its end."""

    async def answer(request: Request) -> Response:
        if request.url.path == "/script":
            return Response(f"{script}; setTimeout(() => {{ document.title = 'done' }})", media_type="text/javascript")
        policy = {"Content-Security-Policy": "style-src 'self'"}
        return Response(PAGE, 200 if request.url.path == "/" else 404, policy, "text/html")

    async with served(Starlette(routes=[Route("/{path:path}", answer)])) as port, new_visitor(chromium) as visitor:
        for pattern in expected:
            visitor.incidents.expect(pattern)
        await visitor.page.goto(f"http://127.0.0.1:{port}/")
        await expect(visitor.page).to_have_title("done")


@pytest.mark.parametrize("script", INCIDENTS)
async def test_an_incident_fails_its_test(chromium: Browser, script: str) -> None:
    """The failure names it."""
    with pytest.raises(AssertionError) as failed:
        await run(chromium, script)
    assert failed.match(f"(?m){INCIDENTS[script].replace('^', '^ +')}")


@pytest.mark.parametrize("script", INCIDENTS)
async def test_an_incident_that_is_expected_passes(chromium: Browser, script: str) -> None:
    """It is the only one that its cause makes."""
    await run(chromium, script, INCIDENTS[script])


async def test_an_incident_that_is_expected_has_to_come(chromium: Browser) -> None:
    """An expectation that outlived its cause hides nothing."""
    with pytest.raises(AssertionError, match="expected, and did not come: spoken"):
        await run(chromium, "0", "spoken")


async def test_visitors_share_no_cookie(chromium: Browser) -> None:
    """Each is a person at a browser of their own."""
    async with new_visitor(chromium) as first, new_visitor(chromium) as second:
        await first.context.add_cookies([{"name": "a", "value": "1", "url": "http://127.0.0.1/"}])
        assert await second.context.cookies() == []


def test_a_machine_without_chromium_is_told_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ChromiumMissing, match=r"\AThe tests .*apt-get install chromium\.\Z"):
        executable()
