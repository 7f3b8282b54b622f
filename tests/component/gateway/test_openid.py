"""Sign-in with a real OpenID Connect provider: who signs in, and the answers that are of no flow of this browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chassis.failpoints import utc_now
from testkit.identity_provider.browser import Browser, consented, query_of
from testkit.identity_provider.proxy import TOKEN, ProviderProxy

from .memory_site import Site, memory_site
from .openid_site import CLIENT, browser_at, openid_site
from .over_http import problem


class Clock:
    """The time of day, which a test sets forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        """Return the time of day."""
        return utc_now() + self.ahead


@pytest.fixture(scope="module")
def site_clock() -> Clock:
    """Give the clock of the gateway."""
    return Clock()


@pytest.fixture
def clock(site_clock: Clock) -> Iterator[Clock]:
    """Give the clock to one test, and set it back behind it."""
    yield site_clock
    site_clock.ahead = timedelta()


@pytest_asyncio.fixture(scope="module")
async def site(
    identity_proxy: ProviderProxy, site_clock: Clock, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """Run a gateway where people of the provider sign in."""
    async with openid_site(identity_proxy.issuer, tmp_path_factory.mktemp("gateway"), site_clock.now) as running:
        yield running


@pytest_asyncio.fixture
async def browser(site: Site, identity_provider: ProviderProxy) -> AsyncIterator[Browser]:
    """Open a browser; the provider knows ann, a reviewer."""
    async with browser_at(site, identity_provider) as opened:
        yield opened


async def test_who_signs_in_is_who_the_provider_says(browser: Browser, identity_provider: ProviderProxy) -> None:
    """Subject, name, groups, and the roles that are ours; where it names no tenant it is the default one."""
    led = await browser.sign_in("ann", "/hitl/runs?limit=5")
    assert (led.status_code, led.headers["location"]) == (303, "/hitl/runs?limit=5")
    me = (await browser.http.get("/me")).json()
    token = me.pop("csrf_token")
    assert me == {
        "tenant": "default",
        "subject": "ann",
        "name": "Ann",
        "kind": "person",
        "roles": ["reviewer"],
        "groups": ["legal"],
        "scopes": [],
    }
    assert len(token) == 43
    assert (await browser.http.get("/")).status_code == 200
    assert identity_provider.asked[TOKEN] == 1


async def test_the_question_carries_what_ties_the_answer_to_it(browser: Browser) -> None:
    """PKCE with S256, a state, a nonce: new ones each time. The secret is in no address."""
    asked = [query_of(await browser.begin()) for _ in range(2)]
    assert asked[0]["redirect_uri"] == "http://127.0.0.1/signin/callback"
    assert (asked[0]["response_type"], asked[0]["client_id"]) == ("code", CLIENT)
    assert (asked[0]["code_challenge_method"], asked[0]["scope"]) == ("S256", "openid profile email")
    for name in ("state", "nonce", "code_challenge"):
        assert asked[0][name] != asked[1][name]
        assert len(asked[0][name]) == 43
    assert "s3cret" not in str(asked)


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "https://evil.example", "/\tx", ""])
async def test_the_way_over_the_provider_leads_nowhere_else(browser: Browser, path: str) -> None:
    """It is refused before it begins."""
    answer = await browser.http.get("/signin/openid", params={"next": path})
    problem(answer, 422, "validation_failed")
    assert not browser.http.cookies


async def test_a_tenant_and_nested_claims_are_read_where_the_settings_say(
    identity_provider: ProviderProxy, tmp_path: Path
) -> None:
    """Providers differ: a claim under another name, a member of one, a name with a colon and slashes."""
    claims: dict[str, Any] = {
        "oidc_roles_claim": "realm_access.roles",
        "oidc_groups_claim": "https://sayso/groups",
        "oidc_tenant_claim": "org",
    }
    known = {"realm_access": {"roles": ["auditor"]}, "https://sayso/groups": "leads", "org": "acme", "roles": ["admin"]}
    await identity_provider.know("bo", **known)
    async with (
        openid_site(identity_provider.issuer, tmp_path, **claims) as site,
        (browser := Browser(app=site.app)).http,
    ):
        await browser.sign_in("bo")
        me = (await browser.http.get("/me")).json()
    assert (me["tenant"], me["roles"], me["groups"], me["name"]) == ("acme", ["auditor"], ["leads"], None)


async def test_without_a_role_one_is_told_so(browser: Browser, identity_provider: ProviderProxy) -> None:
    """`/me` says who one is; a page says whom to ask, and API calls are refused."""
    await identity_provider.know("guest")
    await browser.sign_in("guest")
    assert (await browser.http.get("/me")).json()["roles"] == []
    shown = await browser.http.get("/")
    assert (shown.status_code, "You have no role yet" in shown.text, "ask an administrator" in shown.text.lower()) == (
        403,
        True,
        True,
    )
    assert (await browser.http.get("/providers", headers={"Accept": "application/json"})).json()["code"] == "forbidden"


async def test_two_tabs_sign_in_at_once(browser: Browser) -> None:
    """Neither takes the other's answer for its own; each makes a session."""
    first, second = await browser.begin("/a"), await browser.begin("/b")
    late = await browser.http.get(await consented(second, "ann"))
    session = browser.session
    early = await browser.http.get(await consented(first, "ann"))
    assert [led.headers["location"] for led in (early, late)] == ["/a", "/b"]
    assert browser.session != session


async def test_a_browser_that_begins_often_keeps_few_cookies(browser: Browser) -> None:
    """One more forgets those before it."""
    for _ in range(13):
        await browser.begin()
    assert len(browser.http.cookies) <= 5


async def test_an_answer_for_another_browser_is_refused(site: Site, browser: Browser) -> None:
    """A person who is lured to it is not signed in under a stranger's name."""
    back = await consented(await browser.begin(), "ann")
    async with (other := Browser(app=site.app)).http:
        answer = await other.http.get(back)
        assert (answer.status_code, other.session) == (400, None)
        assert "another browser" in answer.text


@pytest.mark.parametrize("state", ["", "x" * 43, "%ff", None])
async def test_a_wrong_state_is_refused(browser: Browser, state: str | None) -> None:
    """A forged one, another one, none."""
    back = await consented(await browser.begin(), "ann")
    right = query_of(back)["state"]
    wrong = back.replace(f"state={right}", "" if state is None else f"state={state}")
    answer = await browser.http.get(wrong)
    assert (answer.status_code, browser.session) == (400, None)


async def test_the_cookie_of_one_flow_opens_no_other(browser: Browser) -> None:
    """Nor does one that was changed."""
    backs = [await consented(await browser.begin(), "ann") for _ in range(2)]
    jar = {cookie.name: cookie for cookie in browser.http.cookies.jar}
    first, second = jar.values()
    first.value, second.value = second.value, f"{first.value}"
    for back in backs:
        answer = await browser.http.get(back)
        assert (answer.status_code, browser.session) == (400, None)
    third = await consented(await browser.begin(), "ann")
    next(iter(browser.http.cookies.jar)).value = "gAAAAAforged"
    assert "not begun here" in (await browser.http.get(third)).text


async def test_an_answer_counts_once(browser: Browser) -> None:
    """Also for a browser that kept the cookie of its flow, and after the session has ended."""
    back = await consented(await browser.begin(), "ann")
    kept = [(cookie.name, cookie.value) for cookie in browser.http.cookies.jar]
    assert (await browser.http.get(back)).status_code == 303
    await browser.http.post("/signout", data={"csrf_token": await browser.csrf_token()})
    assert (await browser.http.get(back)).status_code == 400
    for name, value in kept:
        browser.http.cookies.set(name, str(value), domain="127.0.0.1")
    again = await browser.http.get(back)
    assert (again.status_code, browser.session) == (400, None)


async def test_a_flow_makes_one_session_whatever_the_provider_takes(
    site: Site, browser: Browser, identity_provider: ProviderProxy
) -> None:
    """One that takes a code twice does not make it two."""
    before = len(site.sessions.records)
    back = await consented(await browser.begin(), "ann")
    kept = [(cookie.name, cookie.value) for cookie in browser.http.cookies.jar]
    answers: list[dict[str, Any]] = []

    def kept_answer(answer: dict[str, Any]) -> dict[str, Any]:
        answers.append(answer)
        return answer

    identity_provider.changes[TOKEN] = kept_answer
    assert (await browser.http.get(back)).status_code == 303
    for name, value in kept:
        browser.http.cookies.set(name, str(value), domain="127.0.0.1")
    identity_provider.replay(TOKEN, answers[0])
    again = await browser.http.get(back)
    assert (again.status_code, "used before" in again.text) == (400, True)
    assert len(site.sessions.records) == before + 1


async def test_a_sign_in_that_takes_too_long_is_refused(browser: Browser, clock: Clock) -> None:
    """Ten minutes; also by the clock of a gateway that was set back."""
    for ahead in (timedelta(minutes=10, seconds=5), timedelta(minutes=-10, seconds=-5)):
        clock.ahead = timedelta()
        back = await consented(await browser.begin(), "ann")
        clock.ahead = ahead
        answer = await browser.http.get(back)
        assert (answer.status_code, "10 minutes" in answer.text) == (400, True)


async def test_who_cancels_is_told_so(browser: Browser) -> None:
    """And may begin again. This provider leaves out the state then."""
    answer = await browser.http.get(await consented(await browser.begin(), None))
    assert (answer.status_code, "cancelled" in answer.text, browser.session) == (400, True, None)
    assert (await browser.sign_in("ann")).status_code == 303


async def test_who_begins_again_is_led_where_one_wanted_to_go(browser: Browser) -> None:
    """After a refusal of the provider, which says the state as RFC 6749 has it."""
    state = query_of(await browser.begin("/hitl/runs?limit=5"))["state"]
    answer = await browser.http.get("/signin/callback", params={"state": state, "error": "access_denied"})
    assert (answer.status_code, "cancelled" in answer.text) == (400, True)
    assert 'href="/signin?next=%2Fhitl%2Fruns%3Flimit%3D5"' in answer.text


async def test_what_the_provider_says_of_an_error_is_shown_as_text(browser: Browser) -> None:
    """A name of an error, and nothing that a stranger wrote."""
    state = query_of(await browser.begin())["state"]
    answer = await browser.http.get(
        "/signin/callback", params={"state": state, "error": "<script>x", "error_description": "<b>"}
    )
    assert answer.status_code == 400
    assert "<script" not in answer.text
    state = query_of(await browser.begin())["state"]
    answer = await browser.http.get("/signin/callback", params={"state": state, "error": "login_required"})
    assert "login_required" in answer.text


async def test_an_answer_of_another_issuer_is_refused(browser: Browser) -> None:
    """RFC 9207: a provider that says who it is must be ours."""
    back = await consented(await browser.begin(), "ann")
    answer = await browser.http.get(f"{back}&iss=https://evil.example")
    assert (answer.status_code, browser.session) == (400, None)


async def test_an_answer_without_a_code_is_refused(browser: Browser) -> None:
    """There is nothing to ask for."""
    state = query_of(await browser.begin())["state"]
    assert (await browser.http.get("/signin/callback", params={"state": state})).status_code == 400


async def test_the_page_offers_the_provider_by_its_host(browser: Browser, identity_provider: ProviderProxy) -> None:
    """With where one wanted to go, and loads nothing from there."""
    shown = (await browser.http.get("/signin", params={"next": '/x?a="b"'.replace('"', "%22")})).text
    assert f"Sign in with {identity_provider.issuer.removeprefix('http://')}" in shown
    assert "/signin/openid?next=%2Fx%3Fa%3D%2522b%2522" in shown


async def test_without_a_provider_the_page_has_none(tmp_path: Path) -> None:
    """Its ways are not there."""
    async with memory_site(utc_now, data_dir=tmp_path, auth="on") as site, (browser := Browser(app=site.app)).http:
        assert "Sign in with" not in (await browser.http.get("/signin")).text
        for path in ("/signin/openid", "/signin/callback"):
            assert (await browser.http.get(path)).status_code == 404
