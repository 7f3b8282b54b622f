"""Sign-in with a real OpenID Connect provider, and with one that lies: a verified ID token of the flow is needed."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.responses import Response

from chassis.failpoints import utc_now
from gateway.identity.openid.flow import new_flow
from gateway.identity.openid.id_token import UnknownKey
from gateway.identity.openid.provider import OpenIdProvider
from gateway.identity.openid.rules import OpenIdRules
from local_stack.ports import free_port
from testkit.identity_provider.browser import Browser, consented, query_of
from testkit.identity_provider.proxy import DISCOVERY, KEYS, TOKEN, ProviderProxy, claims_of

from .memory_site import Site, memory_site
from .over_http import problem

CLIENT = "sayso"
OURS = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KID = "another-key"


class Clock:
    """The time of day, which a test sets forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        """Return the time of day."""
        return utc_now() + self.ahead


def settings_for(issuer: str, **further: Any) -> dict[str, Any]:
    """Return the settings of a gateway that lets people sign in."""
    return {"auth": "on", "oidc_issuer": issuer, "oidc_client_id": CLIENT, "oidc_client_secret": "s3cret", **further}


@pytest.fixture
def clock() -> Clock:
    """Give a clock."""
    return Clock()


@pytest_asyncio.fixture
async def site(identity_provider: ProviderProxy, clock: Clock, tmp_path: Any) -> AsyncIterator[Site]:
    """Run a gateway where people of the provider sign in."""
    async with memory_site(clock.now, data_dir=tmp_path, **settings_for(identity_provider.issuer)) as running:
        yield running


@pytest_asyncio.fixture
async def browser(site: Site, identity_provider: ProviderProxy) -> AsyncIterator[Browser]:
    """Open a browser; the provider knows ann, a reviewer."""
    await identity_provider.know("ann", name="Ann", roles=["reviewer", "offline_access"], groups=["legal"])
    opened = Browser(app=site.app)
    async with opened.http:
        yield opened


def public_key(kid: str = KID) -> dict[str, Any]:
    """Return our key as a provider would show it."""
    found: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(OURS.public_key(), as_dict=True)
    return {**found, "kid": kid, "use": "sig", "alg": "RS256"}


def resigned(
    key: Any = OURS, algorithm: str = "RS256", kid: str = KID, **changes: Any
) -> Callable[[dict[str, Any]], Any]:
    """Return a change of the token endpoint's answer: its ID token with other claims, signed by our key."""

    def change(answer: dict[str, Any]) -> dict[str, Any]:
        claims = {**claims_of(answer["id_token"]), **changes}
        claims.pop("at_hash", None)
        claims = {name: value for name, value in claims.items() if value is not None}
        return {**answer, "id_token": jwt.encode(claims, key, algorithm, headers={"kid": kid})}

    return change


def show_our_key(provider: ProviderProxy) -> None:
    """Let the provider show our key beside its own."""
    provider.changes[KEYS] = lambda keys: {"keys": [*keys["keys"], public_key()]}


async def failed(browser: Browser, status: int, said: str, subject: str = "ann") -> None:
    """Sign in, and expect the page that says why not."""
    answer = await browser.sign_in(subject)
    assert (answer.status_code, browser.session) == (status, None), answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert said in answer.text
    assert 'href="/signin"' in answer.text
    assert "Traceback" not in answer.text


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
    identity_provider: ProviderProxy, tmp_path: Any
) -> None:
    """Providers differ: a claim under another name, a member of one, a name with a colon and slashes."""
    claims = {
        "oidc_roles_claim": "realm_access.roles",
        "oidc_groups_claim": "https://sayso/groups",
        "oidc_tenant_claim": "org",
    }
    known = {"realm_access": {"roles": ["auditor"]}, "https://sayso/groups": "leads", "org": "acme", "roles": ["admin"]}
    await identity_provider.know("bo", **known)
    async with (
        memory_site(utc_now, data_dir=tmp_path, **settings_for(identity_provider.issuer, **claims)) as site,
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
    assert len(site.sessions.records) == 1


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


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"aud": "another"}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": [CLIENT, "another"]}, "azp"),
        ({"azp": "another"}, "azp"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"iss": None}, "iss"),
        ({"exp": int(time.time()) - 3600}, "exp"),
        ({"exp": None}, "exp"),
        ({"exp": "soon"}, "exp"),
        ({"iat": int(time.time()) + 3600}, "iat"),
        ({"sub": None}, "sub"),
        ({"sub": "a\u202eb"}, "sub"),
        ({"sub": "x" * 201}, "sub"),
        ({"sub": 5}, "sub"),
        ({"tenant": ""}, "tenant"),
        ({"tenant": ["acme"]}, "tenant"),
        ({"groups": [["legal"]]}, "groups"),
        ({"groups": ["a\nb"]}, "groups"),
        ({"groups": [f"g{number}" for number in range(201)]}, "201 groups"),
        ({"roles": {"admin": True}}, "roles"),
    ],
)
async def test_a_token_that_says_something_else_is_refused(
    browser: Browser, identity_provider: ProviderProxy, changes: dict[str, Any], said: str
) -> None:
    """Though its signature holds: it is for another flow, client or time, of another issuer, or malformed."""
    show_our_key(identity_provider)
    identity_provider.changes[TOKEN] = resigned(**changes)
    await failed(browser, 400, said)


async def test_a_token_of_a_key_that_is_shown_holds(browser: Browser, identity_provider: ProviderProxy) -> None:
    """The tests of what does not hold differ from it by one thing each."""
    show_our_key(identity_provider)
    identity_provider.changes[TOKEN] = resigned()
    assert (await browser.sign_in("ann")).status_code == 303


def unsigned(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the answer with a token without a signature."""
    return {**answer, "id_token": jwt.encode(claims_of(answer["id_token"]), "", "none", headers={"kid": KID})}


def signed_with_the_public_key(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the answer with a token of HS256 whose secret is the public key."""
    pem = OURS.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    body = jwt.encode(claims_of(answer["id_token"]), b"x" * 32, "HS256", headers={"kid": KID}).rsplit(".", 1)[0]
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(body.encode(), pem)
    return {**answer, "id_token": f"{body}.{jwt.utils.base64url_encode(signature).decode()}"}


@pytest.mark.parametrize(
    "change",
    [
        unsigned,
        signed_with_the_public_key,
        resigned(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        lambda answer: {**answer, "id_token": resigned()(answer)["id_token"][:-4] + "AAAA"},
        lambda answer: {**answer, "id_token": "no token"},
        lambda answer: {**answer, "id_token": None},
        lambda answer: {name: value for name, value in answer.items() if name != "id_token"},
        lambda answer: {**answer, "id_token": "e30.e30."},
        lambda answer: {**answer, "id_token": ["a"]},
    ],
)
async def test_a_token_that_the_provider_did_not_sign_is_refused(
    browser: Browser, identity_provider: ProviderProxy, change: Callable[[dict[str, Any]], Any]
) -> None:
    """Unsigned, signed by who knows the public key, by a stranger, changed, cut off, missing."""
    show_our_key(identity_provider)
    identity_provider.changes[TOKEN] = change
    await failed(browser, 400, "does not hold")


async def test_a_new_key_of_the_provider_is_fetched_when_a_token_names_it(identity_provider: ProviderProxy) -> None:
    """Once in 10 s at most, whatever tokens name; and the keys are fetched anew every hour."""
    seconds = 0.0
    provider = OpenIdProvider(OpenIdRules(identity_provider.issuer, CLIENT, "s3cret"), utc_now, lambda: seconds)

    async def subject() -> str:
        flow = new_flow("http://127.0.0.1/signin/callback", "/")
        back = await consented(await provider.address_for(flow), "ann")
        return str((await provider.claims_for(query_of(back)["code"], flow))["sub"])

    assert await subject() == "ann"
    show_our_key(identity_provider)
    identity_provider.changes[TOKEN] = resigned()
    seconds = 9.9
    with pytest.raises(UnknownKey):
        await subject()
    assert identity_provider.asked[KEYS] == 1
    seconds = 10.0
    assert (await subject(), identity_provider.asked[KEYS]) == ("ann", 2)
    seconds = 3600.0
    assert (await subject(), identity_provider.asked[KEYS]) == ("ann", 2)
    seconds = 3610.0
    assert (await subject(), identity_provider.asked[KEYS], identity_provider.asked[DISCOVERY]) == ("ann", 3, 2)
    identity_provider.changes[KEYS] = lambda keys: keys  # ours is withdrawn
    seconds = 8000.0
    with pytest.raises(UnknownKey):
        await subject()


async def test_a_token_of_an_unknown_key_says_so(browser: Browser, identity_provider: ProviderProxy) -> None:
    """The page tells it from one that is forged."""
    identity_provider.changes[TOKEN] = resigned()
    await failed(browser, 400, "does not show")


def answer_with(document: Any, _: Any) -> Any:
    """Return another document in place of an answer."""
    return document


async def test_a_key_set_that_is_no_key_set_is_said_in_the_log(
    browser: Browser, identity_provider: ProviderProxy
) -> None:
    """And the page says that the provider does not answer."""
    sets: list[Any] = [{"keys": []}, {"keys": [{"kty": "oct", "k": "eA"}]}, {"keys": 5}, [], {"keys": [5, {}]}]
    for found in sets:
        identity_provider.changes[KEYS] = partial(answer_with, found)
        await failed(browser, 503, "does not answer")


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


async def test_a_provider_that_is_down_stops_no_gateway(tmp_path: Any) -> None:
    """It starts, shows its page, and takes keys; the way to the provider says that it does not answer."""
    async with (
        memory_site(utc_now, data_dir=tmp_path, **settings_for(f"http://127.0.0.1:{free_port()}")) as site,
        (browser := Browser(app=site.app)).http,
    ):
        assert (await browser.http.get("/signin")).status_code == 200
        assert (await browser.http.get("/signin/openid")).status_code == 503


async def test_the_page_offers_the_provider_by_its_host(browser: Browser, identity_provider: ProviderProxy) -> None:
    """With where one wanted to go, and loads nothing from there."""
    shown = (await browser.http.get("/signin", params={"next": '/x?a="b"'.replace('"', "%22")})).text
    assert f"Sign in with {identity_provider.issuer.removeprefix('http://')}" in shown
    assert "/signin/openid?next=%2Fx%3Fa%3D%2522b%2522" in shown


async def test_without_a_provider_the_page_has_none(tmp_path: Any) -> None:
    """Its ways are not there."""
    async with memory_site(utc_now, data_dir=tmp_path, auth="on") as site, (browser := Browser(app=site.app)).http:
        assert "Sign in with" not in (await browser.http.get("/signin")).text
        for path in ("/signin/openid", "/signin/callback"):
            assert (await browser.http.get(path)).status_code == 404
