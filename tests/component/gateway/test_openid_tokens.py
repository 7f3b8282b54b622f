"""ID tokens that do not hold: for another flow, client or time, of another issuer, or not signed by the provider."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from chassis.failpoints import utc_now
from gateway.identity.openid.flow import new_flow
from gateway.identity.openid.id_token import UnknownKey
from gateway.identity.openid.provider import OpenIdProvider
from gateway.identity.openid.rules import OpenIdRules
from testkit.identity_provider.browser import Browser, consented, query_of
from testkit.identity_provider.proxy import DISCOVERY, KEYS, TOKEN, ProviderProxy, claims_of

from .memory_site import Site
from .openid_site import CLIENT, browser_at, failed, openid_site

OURS = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KID = "another-key"


@pytest_asyncio.fixture(scope="module")
async def site(identity_proxy: ProviderProxy, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """Run a gateway where people of the provider sign in."""
    async with openid_site(identity_proxy.issuer, tmp_path_factory.mktemp("gateway")) as running:
        yield running


@pytest_asyncio.fixture
async def browser(site: Site, identity_provider: ProviderProxy) -> AsyncIterator[Browser]:
    """Open a browser; the provider knows ann, a reviewer."""
    async with browser_at(site, identity_provider) as opened:
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


@pytest.fixture
def identity_provider(identity_provider: ProviderProxy) -> ProviderProxy:
    """Give the provider, which shows our key: the gateway keeps the keys that it fetched for the first of these tests."""
    show_our_key(identity_provider)
    return identity_provider


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
    site: Site, browser: Browser, identity_provider: ProviderProxy, changes: dict[str, Any], said: str
) -> None:
    """Though its signature holds: it is for another flow, client or time, of another issuer, or malformed."""
    identity_provider.changes[TOKEN] = resigned(**changes)
    await failed(site, browser, 400, said)


async def test_a_token_of_a_key_that_is_shown_holds(browser: Browser, identity_provider: ProviderProxy) -> None:
    """The tests of what does not hold differ from it by one thing each."""
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
    site: Site, browser: Browser, identity_provider: ProviderProxy, change: Callable[[dict[str, Any]], Any]
) -> None:
    """Unsigned, signed by who knows the public key, by a stranger, changed, cut off, missing."""
    identity_provider.changes[TOKEN] = change
    await failed(site, browser, 400, "does not hold")


async def test_a_new_key_of_the_provider_is_fetched_when_a_token_names_it(identity_provider: ProviderProxy) -> None:
    """Once in 10 s at most, whatever tokens name; and the keys are fetched anew every hour."""
    del identity_provider.changes[KEYS]  # ours is not shown yet
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


async def test_a_token_of_an_unknown_key_says_so(
    site: Site, browser: Browser, identity_provider: ProviderProxy
) -> None:
    """The page tells it from one that is forged."""
    identity_provider.changes[TOKEN] = resigned(kid="a-key-that-is-never-shown")
    await failed(site, browser, 400, "does not show")
