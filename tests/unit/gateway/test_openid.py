"""The pure parts of signing in with a provider: flows, ID tokens, claims, documents that are kept, and the rules of the settings."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from chassis.settings import Settings, SettingsError, load_settings
from contracts.identity import Role
from gateway.errors import GatewayError
from gateway.identity.openid.claims import MOST_GROUPS, principal_of
from gateway.identity.openid.errors import ProviderUnavailable, SignInRefused
from gateway.identity.openid.fetched import AGAIN_SECONDS, KEPT_SECONDS, Fetched
from gateway.identity.openid.flow import LIFETIME_SECONDS, Flow, Flows, cookie_of, new_flow
from gateway.identity.openid.id_token import read_key_set, verified_claims
from gateway.identity.openid.rules import OpenIdRules, open_id_rules
from identity.errors import IdentityUnavailable
from identity.testing.memory import MemorySecrets

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
RULES = OpenIdRules("https://issuer.example/", "sayso")
CLAIMS = {"iss": RULES.issuer, "aud": "sayso", "sub": "ann", "nonce": "n", "exp": SECONDS + 60, "iat": SECONDS}
KEY = ec.generate_private_key(ec.SECP256R1())


def shown(*keys: dict[str, Any]) -> bytes:
    """Return a key set."""
    return json.dumps({"keys": keys}).encode()


def public(kid: str = "one", **members: Any) -> dict[str, Any]:
    """Return our key as a provider shows it."""
    found: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
    return {**found, "kid": kid, **members}


def verified(token: str, *keys: dict[str, Any], nonce: str = "n", access_token: str | None = None) -> dict[str, Any]:
    """Verify a token by the keys that are shown."""
    return verified_claims(token, read_key_set(shown(*(keys or (public(),)))), RULES, nonce, access_token, NOW)


def signed(**claims: Any) -> str:
    """Return a token of ours."""
    return jwt.encode({**CLAIMS, **claims}, KEY, "ES256", headers={"kid": "one"})


async def test_a_flow_comes_back_as_it_was_sealed() -> None:
    """Nothing of it is read on the way; another gateway of the installation opens it too."""
    secrets, flow = MemorySecrets(), new_flow("http://x/signin/callback", "/hitl/runs")
    sealed = await Flows(secrets, lambda: NOW).sealed(flow)
    assert await Flows(secrets, lambda: NOW).opened(sealed, flow.state) == flow
    for part in (flow.state, flow.nonce, flow.verifier):
        assert part.encode() not in base64.urlsafe_b64decode(sealed)


@pytest.mark.parametrize(("seconds", "is_opened"), [(-LIFETIME_SECONDS, False), (599, True), (LIFETIME_SECONDS, False)])
async def test_a_flow_lives_ten_minutes(seconds: int, is_opened: bool) -> None:  # noqa: FBT001 - a column of a table
    """By the gateway's clock; one of the future was sealed before a clock was set back."""
    secrets, flow = MemorySecrets(), new_flow("http://x", "/")
    sealed = await Flows(secrets, lambda: NOW).sealed(flow)
    opening = Flows(secrets, lambda: NOW + timedelta(seconds=seconds)).opened(sealed, flow.state)
    if is_opened:
        assert await opening == flow
    else:
        with pytest.raises(SignInRefused, match="10 minutes"):
            await opening


@pytest.mark.parametrize(
    "change", [lambda text: text[:-2] + "AA", lambda _: "", lambda _: "\xff", lambda text: text[:40]]
)
async def test_a_flow_that_was_changed_is_refused(change: Any) -> None:
    """So is one of another installation."""
    secrets, flow = MemorySecrets(), new_flow("http://x", "/")
    flows = Flows(secrets, lambda: NOW)
    with pytest.raises(SignInRefused, match="not begun here"):
        await flows.opened(change(await flows.sealed(flow)), flow.state)
    with pytest.raises(SignInRefused, match="not begun here"):
        await flows.opened(await Flows(MemorySecrets(), lambda: NOW).sealed(flow), flow.state)
    with pytest.raises(SignInRefused, match="another sign-in"):
        await flows.opened(await flows.sealed(flow), "\udcffx")


async def test_without_the_secret_no_flow_begins() -> None:
    """It is read when it is first needed, and a failure is not remembered."""
    secrets, flow = MemorySecrets(), new_flow("http://x", "/")
    flows = Flows(secrets, lambda: NOW)
    secrets.unavailable = True
    with pytest.raises(IdentityUnavailable):
        await flows.sealed(flow)
    secrets.unavailable = False
    assert await flows.sealed(flow)


def test_flows_are_told_apart() -> None:
    """Each has a cookie and a session of its own."""
    one, other = new_flow("http://x", "/"), new_flow("http://x", "/")
    assert cookie_of(one.state) != cookie_of(other.state)
    assert one.session_id != other.session_id
    assert one.session_id == Flow.model_validate(one.model_dump()).session_id


def test_a_token_of_a_key_that_is_shown_holds() -> None:
    """Also by EdDSA under either name, for several audiences, with a clock that is half a minute off."""
    assert verified(signed())["sub"] == "ann"
    assert verified(signed(exp=SECONDS - 29, iat=SECONDS + 29))["sub"] == "ann"
    assert verified(signed(aud=["other", "sayso"], azp="sayso"))["sub"] == "ann"
    edwards = ed25519.Ed25519PrivateKey.generate()
    key = {**jwt.algorithms.OKPAlgorithm.to_jwk(edwards.public_key(), as_dict=True), "kid": "ed"}
    token = jwt.encode(CLAIMS, edwards, "EdDSA", headers={"kid": "ed"})
    assert verified(token, public(), key)["sub"] == "ann"


@pytest.mark.parametrize(
    "claims", [{"exp": SECONDS - 30}, {"iat": SECONDS + 31}, {"nbf": SECONDS + 31}, {"nonce": "m"}]
)
def test_a_token_of_another_time_or_flow_is_refused(claims: dict[str, Any]) -> None:
    """The leeway is that of other tokens."""
    with pytest.raises(SignInRefused, match=next(iter(claims))):
        verified(signed(**claims))


def test_an_access_token_that_was_put_in_another_answer_is_refused() -> None:
    """Its hash in the ID token does not fit."""
    with pytest.raises(SignInRefused, match="at_hash"):
        verified(signed(at_hash="x" * 22), access_token="stolen")  # noqa: S106 - it is one in name only


def test_a_key_for_another_algorithm_verifies_nothing() -> None:
    """What the provider says of its key holds, whatever the token says."""
    with pytest.raises(SignInRefused):
        verified(signed(), public(alg="ES384"))


@pytest.mark.parametrize(
    "header", [{"alg": "ES256", "crit": ["exp"], "exp": 1}, {"alg": "none"}, {"alg": "HS256"}, {"alg": 5}]
)
def test_a_header_that_asks_for_more_is_refused(header: dict[str, Any]) -> None:
    """The signature is not even looked at."""
    parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in (header, CLAIMS)]
    with pytest.raises(SignInRefused):
        verified(".".join([*parts, signed().split(".")[2]]))


def test_a_token_that_nests_too_deep_is_refused() -> None:
    """Or is larger than any token."""
    deep = base64.urlsafe_b64encode(b"[" * 60_000).decode()
    for token in (f"{signed().split('.')[0]}.{deep}.x", f"{deep}.{deep}.{deep}", "x" * 1_000_000, "..", "\ud800.a.b"):
        with pytest.raises(SignInRefused):
            verified(token)


def test_keys_that_are_none_are_left_out() -> None:
    """Symmetric ones, those that encrypt, of a later kind, or malformed; a set without any other is none."""
    others: tuple[dict[str, Any], ...] = (
        {"kty": "oct", "k": "eA"},
        public("two", use="enc"),
        {"kty": "AKP"},
        {"kty": "RSA", "n": 5},
        {"kty": []},
    )
    keys = read_key_set(shown(*others, public()))
    assert [key.kid for key in keys] == ["one"]
    for document in (shown(*others), b"[]", b"{}", b'{"keys": 5}', b"\xff", b"[" * 100_000):
        with pytest.raises(ProviderUnavailable):
            read_key_set(document)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, ("default", (), ())),
        ({"tenant": "acme", "roles": ["admin", "admin", "Admin", "uma"]}, ("acme", (Role.ADMIN,), ())),
        ({"roles": "reviewer", "groups": "legal"}, ("default", (Role.REVIEWER,), ("legal",))),
        ({"groups": ["b", "a", "b"]}, ("default", (), ("b", "a"))),
        ({"roles": [], "groups": None, "tenant": None}, ("default", (), ())),
    ],
)
def test_claims_say_who_comes(claims: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """Roles that are none of ours give no right, and are no fault."""
    found = principal_of({"sub": "ann", **claims}, RULES)
    assert (found.tenant, found.roles, found.groups) == expected
    assert (found.kind, found.name) == ("person", None)


@pytest.mark.parametrize("name", [5, "", "x" * 201, "a\u202eb", None, ["Ann"]])
def test_a_name_that_cannot_be_shown_is_left_out(name: Any) -> None:
    """It says nothing of who comes."""
    assert principal_of({"sub": "ann", "name": name}, RULES).name is None


@pytest.mark.parametrize("claim", ["sub", "tenant", "roles", "groups"])
@pytest.mark.parametrize("value", [5, {}, [5], "", True, "a\x00b", ["a\x00"], [[]]])
def test_what_says_who_comes_is_well_formed(claim: str, value: Any) -> None:
    """Or the sign-in is refused; a role that is malformed is none of ours."""
    if claim == "roles" and (isinstance(value, str) or value == ["a\x00"]):
        assert principal_of({"sub": "ann", claim: value}, RULES).roles == ()
        return
    with pytest.raises(SignInRefused, match=claim):
        principal_of({"sub": "ann", claim: value}, RULES)


def test_groups_are_counted() -> None:
    """A principal travels in each event."""
    groups = [f"g{number}" for number in range(MOST_GROUPS + 1)]
    assert len(principal_of({"sub": "ann", "groups": groups[1:]}, RULES).groups) == MOST_GROUPS
    with pytest.raises(SignInRefused, match="201 groups"):
        principal_of({"sub": "ann", "groups": groups}, RULES)


def test_a_claim_is_found_by_its_name_before_its_path() -> None:
    """`a.b` is a claim of that name, or else a member."""
    rules = OpenIdRules("https://i", "sayso", groups_claim="a.b")
    assert principal_of({"sub": "ann", "a": {"b": ["in"]}, "a.b": ["named"]}, rules).groups == ("named",)
    assert principal_of({"sub": "ann", "a": {"b": ["in"]}}, rules).groups == ("in",)
    assert principal_of({"sub": "ann", "a": ["b"]}, rules).groups == ()


class Documents:
    """A document that is counted, with a clock that goes when told to."""

    def __init__(self) -> None:
        self.seconds, self.fetches, self.is_down = 0.0, 0, False
        self.answers = asyncio.Event()
        self.answers.set()
        self.fetched = Fetched(self._fetch, lambda: self.seconds)

    async def _fetch(self) -> int:
        self.fetches += 1
        await self.answers.wait()
        if self.is_down:
            raise ProviderUnavailable("down")
        return self.fetches


async def test_a_document_is_kept_for_an_hour() -> None:
    """And fetched anew on demand, once in 10 s at most."""
    documents = Documents()
    assert [await documents.fetched.get(), await documents.fetched.renewed()] == [1, 1]
    documents.seconds = AGAIN_SECONDS
    assert [await documents.fetched.get(), await documents.fetched.renewed(), await documents.fetched.renewed()] == [
        1,
        2,
        2,
    ]
    documents.seconds += KEPT_SECONDS
    assert await documents.fetched.get() == 3


async def test_a_document_is_fetched_once_for_all_that_wait() -> None:
    """One that leaves takes it from no other, and a failure is not kept."""
    documents = Documents()
    documents.answers.clear()
    waiting = [asyncio.create_task(documents.fetched.get()) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    documents.answers.set()
    assert await asyncio.gather(*waiting[1:]) == [1] * 4
    documents.is_down, documents.seconds = True, KEPT_SECONDS
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            await documents.fetched.get()
    documents.is_down = False
    assert await documents.fetched.get() == 4


def settings(**members: Any) -> Settings:
    """Return settings that name a provider."""
    return load_settings(
        _env_file=None, **{"oidc_issuer": "https://issuer.example/", "oidc_client_id": "sayso", **members}
    )


def test_the_settings_name_a_provider() -> None:
    """The issuer as it is written: a slash at its end belongs to its name."""
    rules = open_id_rules(settings(oidc_client_secret="s3cret", oidc_roles_claim="r"))  # noqa: S106 - in name only
    assert rules == OpenIdRules("https://issuer.example/", "sayso", "s3cret", roles_claim="r")
    assert (rules.host, "s3cret" in repr(rules)) == ("issuer.example", False)
    assert open_id_rules(load_settings(_env_file=None)) is None


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"oidc_issuer": None}, "SAYSO_OIDC_ISSUER"),
        ({"oidc_issuer": None, "oidc_client_id": None, "oidc_client_secret": "x"}, "SAYSO_OIDC_ISSUER"),
        ({"oidc_client_id": None}, "SAYSO_OIDC_CLIENT_ID"),
        ({"oidc_scopes": "profile"}, "SAYSO_OIDC_SCOPES"),
        ({"oidc_issuer": "http://issuer.example"}, "OIDC_ISSUER"),
        ({"oidc_issuer": "issuer.example"}, "OIDC_ISSUER"),
        ({"oidc_issuer": "https://issuer.example?x"}, "OIDC_ISSUER"),
        ({"oidc_issuer": "https://user:pass@issuer.example"}, "OIDC_ISSUER"),
    ],
)
def test_settings_that_fit_no_provider_stop_the_start(members: dict[str, Any], said: str) -> None:
    """With one line that names the setting."""
    with pytest.raises(SettingsError, match=said):
        open_id_rules(settings(**members))


def test_a_provider_on_this_machine_needs_no_tls() -> None:
    """For a first try."""
    assert open_id_rules(settings(oidc_issuer="http://localhost:9400")) is not None


def test_errors_of_signing_in_are_the_gateways() -> None:
    """One base."""
    assert issubclass(SignInRefused, GatewayError)
    assert issubclass(ProviderUnavailable, GatewayError)
