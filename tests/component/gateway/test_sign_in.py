"""The sign-in page: which keys make a session, what its form needs, and where it leads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from contracts.identity import Role
from identity.keys.record import new_key
from identity.sessions.record import csrf_token, new_session
from testkit.identity_provider.browser import HTML, Browser, hidden

from .credentials import key, waiting_run
from .memory_site import NOW, Site, memory_site
from .over_http import problem

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest_asyncio.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Run a gateway that asks for credentials."""
    async with memory_site(auth="on", data_dir=tmp_path_factory.mktemp("gateway")) as running:
        await running.announce()
        yield running


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


async def test_what_waits_is_shown_to_who_may_see_it(site: Site, ann: Browser) -> None:
    """A person without a role is told whom to ask, on every page."""
    await waiting_run(site)
    assert f"<title>Sayso: {len(site.tables.rows)} waiting<" in (await ann.http.get("/")).text
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


async def test_without_authentication_there_is_nothing_to_sign_in_to() -> None:
    """The page leads to the first one."""
    async with memory_site() as site:
        for method, path in (("GET", "/signin"), ("POST", "/signin"), ("POST", "/signout")):
            led = await site.http.request(method, path, headers=HTML)
            assert (led.status_code, led.headers["location"]) == (303, "/")
