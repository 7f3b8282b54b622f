"""The end of sessions: by signing out or in again, by time, with the key, and what an outage of the database does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from contracts.identity import Role
from identity.keys.record import new_key
from identity.sessions.record import LIFETIME
from local_stack.wait import until
from testkit.identity_provider.browser import Browser, hidden

from .credentials import key
from .memory_site import NOW, Site, memory_site
from .over_http import problem


@dataclass
class Clock:
    """The time of day, which a test sets."""

    at: datetime = NOW

    def now(self) -> datetime:
        """Return it."""
        return self.at


@pytest.fixture
def clock() -> Clock:
    """Give a clock that stands still."""
    return Clock()


@pytest_asyncio.fixture
async def site(clock: Clock, tmp_path: Path) -> AsyncIterator[Site]:
    """Run a gateway of the test's own, whose clock and database it may change."""
    async with memory_site(clock.now, auth="on", data_dir=tmp_path) as running:
        yield running


async def test_signing_out_ends_the_session_everywhere(site: Site, ann: Browser) -> None:
    """Its form stands on the page; what was copied is of no use."""
    kept, token = str(ann.session), await ann.csrf_token()
    page = (await ann.http.get("/")).text
    assert hidden(page)["csrf_token"] == token
    problem(await ann.http.post("/signout"), 403, "csrf_failed")
    problem(await ann.http.post("/signout", data={"csrf_token": "x" * 43}), 403, "csrf_failed")
    led = await ann.http.post("/signout", data=hidden(page))
    assert (led.status_code, led.headers["location"], ann.session) == (303, "/signin", None)
    answer = await site.http.get("/me", headers={"Authorization": f"Bearer {kept}"})
    assert problem(answer, 401, "unauthorized")["reason"] == "session_ended"
    assert (await ann.http.post("/signout", data=hidden(page))).status_code == 303


async def test_signing_in_always_makes_a_new_session(site: Site, ann: Browser) -> None:
    """And ends the one before: a session that a stranger planted is worth nothing."""
    planted = str(ann.session)
    await ann.sign_in_by_key(await key(site, "bob", Role.REVIEWER))
    assert ann.session != planted
    assert (await ann.http.get("/me")).json()["subject"] == "bob"
    answer = await site.http.get("/me", headers={"Authorization": f"Bearer {planted}"})
    problem(answer, 401, "unauthorized")
    name = next(one.name for one in ann.http.cookies.jar if one.name.endswith("sayso_session"))
    ann.http.cookies.clear()
    ann.http.cookies.set(name, "session." + "a" * 43, domain="127.0.0.1")
    led = await ann.sign_in_by_key(await key(site, "bob", Role.REVIEWER))
    assert f"{name}=session." in led.headers["set-cookie"]
    assert "a" * 43 not in led.headers["set-cookie"]
    assert len(site.sessions.records) == 3


async def test_a_session_ends_after_twelve_hours(ann: Browser, clock: Clock) -> None:
    """Whatever was done meanwhile; a page leads to the sign-in and forgets the cookie."""
    clock.at = NOW + LIFETIME - timedelta(seconds=1)
    assert (await ann.http.get("/me")).status_code == 200
    clock.at = NOW + LIFETIME
    answer = await ann.http.get("/me", headers={"Accept": "application/json"})
    assert problem(answer, 401, "unauthorized")["reason"] == "session_ended"
    led = await ann.http.get("/")
    assert (led.status_code, led.headers["location"], ann.session) == (303, "/signin", None)


async def test_a_session_ends_with_its_key(site: Site, browser: Browser) -> None:
    """Revoked: within 5 s."""
    text = await key(site, "ann", Role.REVIEWER)
    await browser.sign_in_by_key(text)
    assert (await browser.http.get("/me")).status_code == 200
    (record,) = site.sessions.records.values()
    assert record.key_id is not None
    await site.keys.revoke("default", record.key_id, NOW)

    async def is_ended() -> bool:
        return (await browser.http.get("/me", headers={"Accept": "application/json"})).status_code == 401

    await until(is_ended, 5, "the end of the session")


async def test_while_the_database_is_unavailable_a_page_says_so(site: Site, browser: Browser) -> None:
    """At the sign-in and at the sign-out; nothing is forgotten."""
    shown = hidden((await browser.http.get("/signin")).text)
    site.keys.unavailable = True
    answer = await browser.http.post("/signin", data={**shown, "key": new_key().text})
    assert (answer.status_code, "database does not answer" in answer.text) == (503, True)
    site.keys.unavailable = False
    await browser.sign_in_by_key(await key(site, "ann", Role.REVIEWER))
    token = await browser.csrf_token()
    site.sessions.unavailable = True
    answer = await browser.http.post("/signout", data={"csrf_token": token})
    assert (answer.status_code, browser.session is None) == (503, False)
