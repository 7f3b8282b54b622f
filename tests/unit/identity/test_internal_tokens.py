"""Internal tokens: those of this installation's secret, for a minute, and for nothing else."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.identity import Principal, Right, Role
from identity.errors import IdentityUnavailable, Unauthenticated
from identity.keys.record import new_key
from identity.resolver import Resolver
from identity.secrets.installation_key import SECRET
from identity.testing.memory import MemoryKeys, MemorySecrets
from identity.tokens.internal import MOST_ISSUED, InternalTokens, is_internal
from identity.tokens.verifier import JwtRules, TokenVerifier

from .issuer import ISSUER, NOW, SECONDS, by_hand, shared

LABEL = b"sayso internal token v1"
HEADER = '{"alg":"HS256","typ":"JWT"}'
CLAIMS = {"iss": "sayso", "sub": "notifier", "tenant": "acme", "exp": SECONDS + 60}
ROOT = bytes(range(32))
SERVICE, TENANT = "notifier", "acme"


class SlowSecrets:
    """One secret, which is counted when it is read, and read when the test lets it."""

    def __init__(self, value: bytes = ROOT) -> None:
        self.value = value
        self.names: list[str] = []
        self.unavailable = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def get_or_make(self, name: str) -> bytes:
        """Return the secret."""
        self.names.append(name)
        await self.answers.wait()
        if self.unavailable:
            raise IdentityUnavailable("switched off")
        return self.value


class Site:
    """Internal tokens and a resolver that takes them, by a clock that goes when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.secrets = SlowSecrets()
        self.tokens = InternalTokens(self.secrets, self.now)
        self.resolver = Resolver(MemoryKeys(), None, self.now, internal=self.tokens)

    def now(self) -> Any:
        """Return the time of day."""
        return NOW + timedelta(seconds=self.seconds)

    async def refusal(self, token: str) -> Unauthenticated:
        """Return why a token is refused. No message has a part of it."""
        with pytest.raises(Unauthenticated) as refused:
            await self.tokens.verify(token, self.now())
        assert not any(part in str(refused.value) for part in token.split(".") if len(part) > 8)
        return refused.value


@pytest.fixture
def site() -> Site:
    """Give internal tokens of which none was issued."""
    return Site()


def key_of(secret: bytes = ROOT, label: bytes = LABEL) -> bytes:
    """Return the key that is derived from a secret under a label."""
    return hmac.digest(secret, label, hashlib.sha256)


def forged(key: bytes, header: str = HEADER, **claims: Any) -> str:
    """Return a token that is signed by hand. A claim of None is left out."""
    kept = {name: value for name, value in (CLAIMS | claims).items() if value is not None}
    return f"internal.{by_hand(header, json.dumps(kept), key)}"


async def test_a_token_brings_the_service_that_asked_for_it(site: Site) -> None:
    """As an auditor of one tenant, who reads and does nothing else. It ends as late as a slow clock would say."""
    found = await site.tokens.verify(await site.tokens.issue(SERVICE, TENANT), NOW)
    assert found.principal == Principal(
        tenant=TENANT, subject=SERVICE, kind="service", roles=(Role.AUDITOR,), credential="internal:notifier"
    )
    assert found.ends_at == NOW + timedelta(seconds=90)
    assert found.principal.may(Right.READ)
    assert not any(found.principal.may(right) for right in (Right.START, Right.DECIDE, Right.MANAGE_KEYS))


async def test_a_token_has_one_form(site: Site) -> None:
    """Services of two versions understand each other: the key, the header and the claims are as written here."""
    compact = (await site.tokens.issue(SERVICE, TENANT)).removeprefix("internal.")
    assert jwt.get_unverified_header(compact) == {"alg": "HS256", "typ": "JWT"}
    assert jwt.decode(compact, key_of(), ["HS256"], {"verify_exp": False}) == CLAIMS
    assert await site.tokens.verify(forged(key_of()), NOW)
    assert site.secrets.names == [SECRET] == ["installation"]


async def test_a_tenant_of_any_name_is_served(site: Site) -> None:
    """Names that were taken once, in whatever script, at their greatest length."""
    for tenant in ("Größe & Söhne", "😀" * 200, "a\u200bb", "x.y.z"):
        found = await site.resolver.resolve(f"Bearer {await site.tokens.issue(SERVICE, tenant)}")
        assert found.principal.tenant == tenant


@pytest.mark.parametrize("service", ["", "Notifier", "noti fier", "9", "n" * 101, "notifier\n", "a\0"])
async def test_a_service_without_a_proper_name_gets_no_token(site: Site, service: str) -> None:
    """It is a fault of the program, which shows before anything is sent."""
    with pytest.raises(ValueError, match="sub"):
        await site.tokens.issue(service, TENANT)


@pytest.mark.parametrize("tenant", ["", "a\nb", "x" * 201])
async def test_a_tenant_that_cannot_be_gets_no_token(site: Site, tenant: str) -> None:
    """Nor a service that asks for it."""
    with pytest.raises(ValueError, match="tenant"):
        await site.tokens.issue(SERVICE, tenant)


async def test_a_token_is_used_again_for_half_of_its_time(site: Site) -> None:
    """So that a token which is sent has more than 30 s. Each service and tenant has its own."""
    first = await site.tokens.issue(SERVICE, TENANT)
    site.seconds = 29.9
    assert await site.tokens.issue(SERVICE, TENANT) == first
    site.seconds = 30.0
    second = await site.tokens.issue(SERVICE, TENANT)
    others = [await site.tokens.issue("worker", TENANT), await site.tokens.issue(SERVICE, "other")]
    assert len({first, second, *others}) == 4


async def test_a_token_of_a_clock_that_was_set_back_is_not_used_again(site: Site) -> None:
    """It would hold for longer than a minute."""
    site.seconds = 3600.0
    before = await site.tokens.issue(SERVICE, TENANT)
    site.seconds = 0.0
    after = await site.tokens.issue(SERVICE, TENANT)
    assert after != before
    assert (await site.tokens.verify(after, NOW)).ends_at == NOW + timedelta(seconds=90)


async def test_the_tokens_that_are_kept_are_bounded(site: Site) -> None:
    """However many tenants there are; all of their tokens hold."""
    tokens = [await site.tokens.issue(SERVICE, f"t{number}") for number in range(MOST_ISSUED + 10)]
    assert len(site.tokens._issued) == MOST_ISSUED
    assert [(await site.tokens.verify(tokens[at], NOW)).principal.tenant for at in (0, -1)] == [
        "t0",
        f"t{MOST_ISSUED + 9}",
    ]


@pytest.mark.parametrize("ago", [30, 31, 10**6])
async def test_a_token_ends(site: Site, ago: int) -> None:
    """30 s after its time, for clocks that differ."""
    assert (await site.refusal(forged(key_of(), exp=SECONDS - ago))).code == "credential_expired"


async def test_the_time_counts_that_is_given(site: Site) -> None:
    """Neither the machine's clock nor that of the issuer."""
    token = await site.tokens.issue(SERVICE, TENANT)
    assert await site.tokens.verify(token, NOW + timedelta(seconds=89))
    with pytest.raises(Unauthenticated) as refused:
        await site.tokens.verify(token, NOW + timedelta(seconds=90))
    assert refused.value.code == "credential_expired"


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(key_of(bytes(32)), id="another installation's secret"),
        pytest.param(key_of(label=b"sayso internal token v2"), id="another label"),
        pytest.param(key_of(label=b""), id="no label"),
        pytest.param(ROOT, id="the secret itself"),
        pytest.param(LABEL, id="the label itself"),
        pytest.param(b"", id="no key"),
    ],
)
async def test_a_token_by_another_key_is_refused(site: Site, key: bytes) -> None:
    """A key has one purpose."""
    refused = await site.refusal(forged(key))
    assert (refused.code, str(refused)) == (
        "token_invalid",
        "The token is not accepted: its signature does not fit.",
    )


@pytest.mark.parametrize(
    "header",
    [
        *('{"alg":"none"}', '{"alg":"HS512"}', '{"alg":"RS256"}', '{"alg":["HS256"]}', '{"alg":null}', "{}", "[]"),
        *('{"alg":"none","alg":"HS256"}', '{"alg":"HS256","b64":false}', '{"alg":"HS256","x":' + "[" * 3000),
    ],
)
async def test_a_token_has_one_algorithm(site: Site, header: str) -> None:
    """Whatever else its header names is refused, with a signature and without."""
    token = forged(key_of(), header)
    for one in (token, f"{token.rpartition('.')[0]}."):
        assert (await site.refusal(one)).code == "token_invalid"


@pytest.mark.parametrize("claim", ["iss", "sub", "tenant", "exp"])
async def test_a_claim_that_is_missing_is_named(site: Site, claim: str) -> None:
    """Each of the four is needed."""
    without: dict[str, Any] = {claim: None}
    refused = await site.refusal(forged(key_of(), **without))
    assert str(refused) == f"The token is not accepted: the claim {claim} is missing."


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        *(("iss", "Sayso"), ("iss", ISSUER), ("aud", "sayso"), ("sub", ""), ("sub", "Ann"), ("sub", 1), ("sub", "n\n")),
        *(("tenant", ""), ("tenant", ["acme"]), ("tenant", "a\0"), ("exp", str(SECONDS + 60)), ("exp", 1e300)),
        *(("exp", True), ("nbf", SECONDS + 31), ("iat", SECONDS + 31)),
    ],
)
async def test_a_claim_of_another_value_or_kind_is_refused(site: Site, claim: str, value: Any) -> None:
    """Though the signature fits."""
    other: dict[str, Any] = {claim: value}
    assert (await site.refusal(forged(key_of(), **other))).code == "token_invalid"


async def test_a_claim_of_a_right_gives_none(site: Site) -> None:
    """A service that holds the secret is an auditor, and says nothing else of itself."""
    token = forged(key_of(), roles=["admin"], groups=["legal"], name="Ann", kind="person")
    found = (await site.tokens.verify(token, NOW)).principal
    assert found == (await site.tokens.verify(await site.tokens.issue(SERVICE, TENANT), NOW)).principal


@given(st.text(max_size=200) | st.lists(st.text("abcdefeyJ0{}=-_", max_size=80), min_size=3, max_size=3).map(".".join))
async def test_no_text_is_an_error_of_ours(text: str) -> None:
    """Any text is refused in words, with the prefix and without."""
    site = Site()
    for token in (text, f"internal.{text}"):
        assert (await site.refusal(token)).code == "token_invalid"


async def test_what_is_no_token_reads_no_secret(site: Site) -> None:
    """Too long, cut, or of another kind."""
    compact = (await InternalTokens(MemorySecrets(), site.now).issue(SERVICE, TENANT)).removeprefix("internal.")
    key = new_key().text
    for text in (
        f"internal.{compact}x.y",
        f"internal.{'x' * 9000}.y.z",
        compact,
        key,
        f"internal.{key}",
        "internal.",
        "",
    ):
        assert (await site.refusal(text)).code == "token_invalid"
    assert site.secrets.names == []


@pytest.mark.parametrize(
    ("text", "means"),
    [("internal.", True), ("internal.a.b.c", True), ("Internal.a.b.c", False), ("internal", False), ("", False)],
)
def test_what_means_to_be_internal_is_known_by_its_beginning(text: str, means: bool) -> None:  # noqa: FBT001
    """Well formed or not. Neither an API key nor a JWT begins so."""
    assert is_internal(text) is means
    assert not is_internal(new_key().text)
    assert not is_internal(shared())


async def test_an_internal_token_is_no_jwt_and_a_jwt_no_internal_token(site: Site) -> None:
    """Though both had one key and one issuer: a JWT needs an audience, and an internal token has none."""
    outside = TokenVerifier(JwtRules("x" * 32, None, "sayso", "sayso"))
    outside._secret = key_of()
    internal = await site.tokens.issue(SERVICE, TENANT)
    for token in (internal, internal.removeprefix("internal.")):
        with pytest.raises(Unauthenticated):
            outside.verify(token, NOW)
    other = by_hand(HEADER, json.dumps(CLAIMS | {"aud": "sayso"}), key_of())
    assert outside.verify(other, NOW)
    for token in (other, f"internal.{other}", f"internal.{shared()}"):
        assert (await site.refusal(token)).code == "token_invalid"


async def test_the_secret_is_read_once(site: Site) -> None:
    """By however many calls at once. One of them that leaves takes the answer from no other."""
    site.secrets.answers.clear()
    calls = [asyncio.create_task(site.tokens.issue(SERVICE, f"t{number}")) for number in range(10)]
    await asyncio.sleep(0)
    calls[0].cancel()
    await asyncio.wait(calls[:1])
    site.secrets.answers.set()
    tokens = await asyncio.gather(*calls[1:])
    for number, token in enumerate(tokens, 1):
        assert (await site.tokens.verify(token, NOW)).principal.tenant == f"t{number}"
    assert (len(site.secrets.names), calls[0].cancelled()) == (1, True)


async def test_a_failure_to_read_the_secret_is_not_remembered(site: Site) -> None:
    """All who wait for it hear of it; the next call reads again, and later ones need no database."""
    site.secrets.unavailable = True
    calls = (site.tokens.issue(SERVICE, TENANT), site.tokens.verify(forged(key_of()), NOW))
    failed = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(error) for error in failed] == [IdentityUnavailable] * 2
    assert len(site.secrets.names) == 1
    site.secrets.unavailable = False
    token = await site.tokens.issue(SERVICE, TENANT)
    site.secrets.unavailable = True
    assert await site.tokens.verify(token, NOW)
    assert len(site.secrets.names) == 2


async def test_services_of_one_installation_accept_each_others_tokens() -> None:
    """Those of another installation do not."""
    ours, theirs = MemorySecrets(), MemorySecrets()
    token = await InternalTokens(ours, lambda: NOW).issue(SERVICE, TENANT)
    assert await InternalTokens(ours, lambda: NOW).verify(token, NOW)
    with pytest.raises(Unauthenticated):
        await InternalTokens(theirs, lambda: NOW).verify(token, NOW)
