"""Sessions of browsers: how they begin and end, what a write of theirs needs, and where a page leads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from contracts.identity import Role
from identity.keys.record import new_key
from identity.sessions.record import LIFETIME, csrf_token, new_session
from local_stack.wait import until
from testkit.identity_provider.browser import HTML, Browser, hidden
from testkit.runs.commands import prepared, start
from testkit.runs.people import RITA
from testkit.runs.specification import given

from .credentials import key
from .memory_site import NOW, Site, memory_site
from .over_http import problem

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


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
    """Run a gateway that asks for credentials, with a run of rita's that waits for a person."""
    async with memory_site(clock.now, auth="on", data_dir=tmp_path) as running:
        await running.announce()
        await running.orchestrator.tell(given(start(allowed_steps=("payload_review",)).but(principal=RITA), prepared()))
        yield running


@pytest_asyncio.fixture(params=["http", "https"])
async def browser(site: Site, request: pytest.FixtureRequest) -> AsyncIterator[Browser]:
    """Open a browser, under http and under https."""
    opened = Browser(f"{request.param}://127.0.0.1", site.app)
    async with opened.http:
        yield opened


@pytest_asyncio.fixture
async def ann(site: Site, browser: Browser) -> Browser:
    """Give a browser in which ann, a reviewer, has signed in."""
    assert (await browser.sign_in_by_key(await key(site, "ann", Role.REVIEWER))).status_code == 303
    return browser


def approval(site: Site) -> str:
    """Return where the run that waits is approved."""
    return f"/hitl/runs/{next(iter(site.tables.rows))}/approve"


async def test_a_key_that_is_typed_in_makes_a_session(site: Site, browser: Browser) -> None:
    """Of the person whose key it is; one is led to where one wanted to go."""
    text = await key(site, "ann", Role.REVIEWER, groups=("legal",))
    led = await browser.sign_in_by_key(f" {text}\n", "/hitl/runs?limit=5")
    assert (led.status_code, led.headers["location"]) == (303, "/hitl/runs?limit=5")
    me = (await browser.http.get("/me")).json()
    assert (me["subject"], me["roles"], me["groups"]) == ("ann", ["reviewer"], ["legal"])
    assert me["csrf_token"] == csrf_token(str(browser.session))
    assert [one.principal.credential for one in site.sessions.records.values()] == [
        f"session:{one.id}" for one in site.sessions.records.values()
    ]


async def test_no_script_and_no_foreign_page_gets_at_the_cookie(site: Site, browser: Browser) -> None:
    """HttpOnly, SameSite, for this host; under https it is Secure, and nothing but this very host can set one of its name."""
    led = await browser.sign_in_by_key(await key(site, "ann", Role.REVIEWER))
    (cookie,) = [one for one in led.headers.get_list("set-cookie") if "sayso_session" in one]
    secure = browser.http.base_url.scheme == "https"
    assert cookie.startswith("__Host-sayso_session=session." if secure else "sayso_session=session.")
    assert cookie.endswith("; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax" + ("; Secure" if secure else ""))
    assert led.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read"),
        ("sayso_mistyped", "cannot be read"),
        ("session." + "a" * 43, "cannot be read"),
        ("a.b.c", "cannot be read"),
        (new_key().text, "no such API key"),
        ("expired", "expired"),
        ("revoked", "revoked"),
    ],
)
async def test_a_key_that_does_not_hold_makes_none(site: Site, browser: Browser, text: str, said: str) -> None:
    """The page says why, repeats nothing of it, and its form can be sent again."""
    past = NOW - timedelta(seconds=1)
    known: dict[str, Any] = {"expired": {"expires_at": past}, "revoked": {"revoked_at": past}}
    typed = await key(site, "ann", Role.ADMIN, **known[text]) if text in known else text
    answer = await browser.sign_in_by_key(typed, "/x")
    assert (answer.status_code, browser.session) == (401, None)
    assert said in answer.text
    assert not typed or typed not in answer.text
    good = await browser.http.post(
        "/signin", data={**hidden(answer.text), "key": await key(site, "ann", Role.REVIEWER)}
    )
    assert (good.status_code, good.headers["location"]) == (303, "/x")


async def test_a_stranger_signs_no_person_in(site: Site, browser: Browser) -> None:
    """Without the form's token and the cookie that fits it a key makes no session: it may be the stranger's own."""
    text = await key(site, "mallory", Role.REVIEWER)
    form = hidden((await browser.http.get("/signin")).text)
    foreign = new_session().text
    for sent in ({}, {"csrf_token": ""}, {"csrf_token": csrf_token(foreign)}, {"csrf_token": "é"}):
        answer = await browser.http.post("/signin", data={"key": text, **sent})
        assert (answer.status_code, browser.session) == (403, None)
    twice = await browser.http.post(
        "/signin", content=f"csrf_token={form['csrf_token']}&csrf_token={form['csrf_token']}&key={text}", headers=FORM
    )
    assert twice.status_code == 403
    browser.http.cookies.clear()
    answer = await browser.http.post("/signin", data={**form, "key": text})
    assert (answer.status_code, browser.session) == (403, None)


@pytest.mark.parametrize("sent", [{"json": {"key": "x"}}, {"content": b"x"}, {"files": {"key": b"x"}}])
async def test_only_a_form_signs_in(browser: Browser, sent: dict[str, Any]) -> None:
    """A page elsewhere cannot send anything else without being asked first."""
    problem(await browser.http.post("/signin", **sent), 415, "unsupported_media_type")


async def test_a_form_has_a_bounded_size(browser: Browser) -> None:
    """It is read no further."""
    problem(await browser.http.post("/signin", data={"key": "x" * 20_000}), 413, "payload_too_large")


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/\tevil",
        "/%0d%0aSet-Cookie:x=y\r\n",
        "evil",
        "",
        "/ x",
        "/é",
        "/" + "x" * 2_000,
        "\\\\evil",
        "/a\\..\\b",
    ],
)
async def test_one_is_led_nowhere_else(site: Site, browser: Browser, path: str) -> None:
    """Neither from the page nor by its form."""
    problem(await browser.http.get("/signin", params={"next": path}), 422, "validation_failed")
    form = hidden((await browser.http.get("/signin")).text)
    sent = {**form, "key": await key(site, "ann", Role.REVIEWER), "next": path}
    answer = await browser.http.post("/signin", data=sent)
    problem(answer, 422, "validation_failed")
    assert browser.session is None


async def test_a_page_asked_for_without_a_credential_leads_to_the_sign_in(browser: Browser) -> None:
    """And back; what asks for JSON gets the 401 as before, with the same reason."""
    led = await browser.http.get("/")
    assert (led.status_code, led.headers["location"]) == (303, "/signin")
    led = await browser.http.get("/hitl/runs?limit=5&state=created")
    assert led.headers["location"] == "/signin?next=%2Fhitl%2Fruns%3Flimit%3D5%26state%3Dcreated"
    assert (await browser.http.get(led.headers["location"])).status_code == 200
    for accept in ("application/json", "*/*", ""):
        answer = await browser.http.get("/", headers={"Accept": accept})
        assert problem(answer, 401, "unauthorized")["reason"] == "credential_missing"
    for path in ("//evil.example", "/x%20y", "/%5C%5Cevil"):
        led = await browser.http.get(httpx.URL(f"{browser.http.base_url}").copy_with(raw_path=path.encode()))
        assert led.status_code == 303
        assert (await browser.http.get(led.headers["location"])).status_code == 200


async def test_a_wrong_key_in_the_head_is_an_api_call(browser: Browser) -> None:
    """It leads nowhere, whatever it accepts."""
    answer = await browser.http.get("/", headers={"Authorization": f"Bearer {new_key().text}"})
    assert problem(answer, 401, "unauthorized")["reason"] == "credential_unknown"


async def test_a_write_by_a_session_carries_its_token(site: Site, ann: Browser) -> None:
    """None, a foreign one, another session's: 403, and nothing happens. The right one decides."""
    other = new_session().text
    token = await ann.csrf_token()
    for wrong in (None, "", "x", csrf_token(other), csrf_token(other)[:-1], token[:-1], token + "x", "é"):
        headers = [] if wrong is None else [(b"X-CSRF-Token", wrong.encode())]
        problem(await ann.http.post(approval(site), json={}, headers=headers), 403, "csrf_failed")
    both = [("X-CSRF-Token", token), ("X-CSRF-Token", token)]
    problem(await ann.http.post(approval(site), json={}, headers=both), 403, "csrf_failed")
    view = (await ann.http.post(approval(site), json={}, headers={"X-CSRF-Token": token})).json()
    assert view["last_approval"]["actor"] == "ann"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "MADEUP"])
async def test_every_method_that_is_no_read_needs_the_token(ann: Browser, method: str) -> None:
    """Also where there is no such route."""
    problem(await ann.http.request(method, "/nothing"), 403, "csrf_failed")
    answer = await ann.http.request(method, "/nothing", headers={"X-CSRF-Token": await ann.csrf_token()})
    assert answer.status_code in (404, 405)


async def test_another_sessions_token_is_foreign(site: Site, ann: Browser) -> None:
    """Also that of another session of the same person."""
    async with (second := Browser(str(ann.http.base_url), site.app)).http:
        await second.sign_in_by_key(await key(site, "ann", Role.REVIEWER))
        headers = {"X-CSRF-Token": await second.csrf_token()}
    problem(await ann.http.post(approval(site), json={}, headers=headers), 403, "csrf_failed")


async def test_a_field_authorization_counts_alone(site: Site, ann: Browser) -> None:
    """Who comes is who it says, no token is needed, and a wrong one is not mended by the cookie."""
    bob = {"Authorization": f"Bearer {await key(site, 'bob', Role.REVIEWER)}"}
    me = (await ann.http.get("/me", headers=bob)).json()
    assert (me["subject"], "csrf_token" in me) == ("bob", False)
    view = (await ann.http.post(approval(site), json={}, headers=bob)).json()
    assert view["last_approval"]["actor"] == "bob"
    wrong = {"Authorization": f"Bearer {new_key().text}"}
    problem(await ann.http.get("/me", headers=wrong), 401, "unauthorized")
    problem(await ann.http.get("/me", headers={"Authorization": ""}), 401, "unauthorized")


async def test_a_session_without_its_cookie_is_a_bearer(site: Site, ann: Browser) -> None:
    """The notifier asks for snapshots so; it gets no token of forms."""
    me = (await site.http.get("/me", headers={"Authorization": f"Bearer {ann.session}"})).json()
    assert (me["subject"], "csrf_token" in me) == ("ann", False)


async def test_a_session_reads_what_its_roles_say(site: Site, ann: Browser) -> None:
    """As its key does."""
    assert (await ann.http.get("/hitl/runs")).status_code == 200
    problem(await ann.http.get("/admin/api-keys"), 403, "forbidden")
    stream = await ann.http.head(approval(site).replace("approve", "events"), headers={"Accept": "text/event-stream"})
    assert (stream.status_code, stream.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")


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


async def test_a_cookie_that_is_there_twice_counts_for_nothing(site: Site, ann: Browser) -> None:
    """A stranger may have set one of them."""
    name = next(one.name for one in ann.http.cookies.jar if one.name.endswith("sayso_session"))
    async with (bare := Browser(str(ann.http.base_url), site.app)).http:
        cookies = {"Cookie": f"{name}={ann.session}; {name}={new_session().text}", "Accept": "*/*"}
        problem(await bare.http.get("/me", headers=cookies), 401, "unauthorized")


async def test_under_https_a_cookie_of_http_is_none(site: Site, ann: Browser) -> None:
    """And the other way round."""
    other = {"http": "https", "https": "http"}[ann.http.base_url.scheme]
    name = next(one.name for one in ann.http.cookies.jar if one.name.endswith("sayso_session"))
    async with (bare := Browser(f"{other}://127.0.0.1", site.app)).http:
        answer = await bare.http.get("/me", headers={"Cookie": f"{name}={ann.session}", "Accept": "*/*"})
        assert problem(answer, 401, "unauthorized")["reason"] == "credential_missing"


async def test_a_foreign_page_uses_no_session(site: Site, ann: Browser) -> None:
    """Also with the right token: the guard knows its origin."""
    headers = {"Origin": "https://evil.example", "X-CSRF-Token": await ann.csrf_token()}
    problem(await ann.http.post(approval(site), json={}, headers=headers), 403, "forbidden")
    problem(await ann.http.post("/signin", data={}, headers={"Origin": "null"}), 403, "forbidden")


async def test_what_waits_is_shown_to_who_may_see_it(site: Site, ann: Browser) -> None:
    """A person without a role is told whom to ask, on every page."""
    assert "1 waiting" in (await ann.http.get("/")).text
    await ann.sign_in_by_key(await key(site, "<guest>"))
    shown = await ann.http.get("/hitl/runs")
    assert (shown.status_code, "&lt;guest&gt;" in shown.text) == (403, True)
    assert (await ann.http.post("/signout", data=hidden(shown.text))).status_code == 303


@pytest.mark.parametrize("path", ["/signin", "/"])
async def test_the_pages_load_nothing_from_elsewhere(ann: Browser, path: str) -> None:
    """No script, and forms that lead to this host alone. Their address is told to no other."""
    answer = await ann.http.get(path)
    policy = answer.headers["content-security-policy"]
    assert "form-action 'self'" in policy
    assert "script-src" not in policy
    assert "//" not in answer.text
    assert "<script" not in answer.text
    assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == ("no-store", "same-origin")


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


async def test_without_authentication_there_is_nothing_to_sign_in_to() -> None:
    """The page leads to the first one."""
    async with memory_site() as site:
        for method, path in (("GET", "/signin"), ("POST", "/signin"), ("POST", "/signout")):
            led = await site.http.request(method, path, headers=HTML)
            assert (led.status_code, led.headers["location"]) == (303, "/")
