"""JSON Web Tokens: only those of the issuer, for us, by the key's own algorithm, now."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.identity import Principal, Role
from identity.errors import Unauthenticated, UnusableRules
from identity.tokens.verifier import JwtRules, TokenVerifier

from .issuer import (
    ALGORITHMS,
    AUDIENCE,
    CLAIMS,
    ISSUER,
    NOW,
    SECONDS,
    SECRET,
    by_hand,
    jwk,
    pem,
    private_key,
    shared,
    signed,
    write_keys,
)

BY_SECRET = TokenVerifier(JwtRules(SECRET, None, ISSUER, AUDIENCE))
HEADER = '{"alg":"HS256"}'
LONG = "x" * 201
WRONG: dict[str, list[Any]] = {
    "iss": ["https://issuer.example/", "", 1, [ISSUER]],
    "aud": ["other", "", [], ["other"], [AUDIENCE, 1], {AUDIENCE: 1}],
    "sub": ["", 1, "a\u202eb", "a\nb", LONG],
    "tenant": ["", ["acme"], "a\0", LONG],
    "exp": ["2100-01-01", str(SECONDS + 60), True, 1e300, 10**400, -1, [1]],
    "nbf": [SECONDS + 31, "now", {}],
    "iat": [SECONDS + 31, "now", {}],
    "roles": ["admin", {"admin": True}, ["boss", None], ["admin", 1], [["admin"]], 1],
    "groups": ["legal", [1], [""], ["a\u200bb"], {"legal": 1}],
    "scope": [["runs:read"], 5, {"runs:read": True}],
    "name": ["", 5, LONG],
    "jti": ["", 5, "x" * 199, "a\nb"],
}
"""Values that a claim cannot have. `x` 199 times is no `jti`: a credential is named `jwt:` and it, in 200 characters."""


@pytest.fixture
def by_file(tmp_path: Path) -> TokenVerifier:
    """Verify by a file with a key of each algorithm, and by nothing else."""
    keys = [jwk(algorithm, algorithm.lower()) for algorithm in ALGORITHMS]
    return TokenVerifier(JwtRules(None, write_keys(tmp_path / "jwks.json", *keys), ISSUER, AUDIENCE))


def refusal(token: str, verifier: TokenVerifier = BY_SECRET) -> Unauthenticated:
    """Return why a token is refused. No message has a part of it."""
    with pytest.raises(Unauthenticated) as refused:
        verifier.verify(token, NOW)
    assert not any(part in str(refused.value) for part in token.split(".") if len(part) > 8)
    return refused.value


def test_a_token_brings_its_principal() -> None:
    """With when it ends: as late as a clock that is 30 s slow would say."""
    found = BY_SECRET.verify(shared(roles=["reviewer", "admin", "reviewer"], jti="t1"), NOW)
    assert found.principal == Principal(
        tenant="acme",
        subject="ann",
        name="Ann",
        roles=(Role.REVIEWER, Role.ADMIN),
        groups=("legal",),
        credential="jwt:t1",
    )
    assert found.ends_at == NOW + timedelta(seconds=630)


def test_roles_groups_and_name_may_be_missing() -> None:
    """Such a person has no rights."""
    found = BY_SECRET.verify(shared(roles=None, groups=None, name=None), NOW).principal
    assert (found.roles, found.groups, found.name, found.credential) == ((), (), None, "jwt:hs256")


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (["reviewer", "offline_access"], (Role.REVIEWER,)),
        (
            ["default-roles-acme", "auditor", "uma_authorization", "auditor", "requester"],
            (Role.AUDITOR, Role.REQUESTER),
        ),
        (["Admin", "admin ", "", LONG, "a\u202eb"], ()),
        ([], ()),
    ],
)
def test_roles_of_others_give_no_right(names: list[str], roles: tuple[Role, ...]) -> None:
    """And refuse nothing: an identity provider puts roles of its own into every token."""
    assert BY_SECRET.verify(shared(roles=names), NOW).principal.roles == roles


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        ("runs:read", ("runs:read",)),
        ("openid runs:read profile runs:start runs:read", ("runs:read", "runs:start")),
        ("openid profile email", ()),
        ("Runs:Read runs:reader", ()),
        ("", ()),
    ],
)
def test_words_of_ours_in_a_scope_narrow_a_token(scope: str, scopes: tuple[str, ...]) -> None:
    """Others do not: identity providers put words of their own into every token."""
    assert BY_SECRET.verify(shared(scope=scope), NOW).principal.scopes == scopes


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_of_the_file_verifies_its_own_algorithm(by_file: TokenVerifier, algorithm: str) -> None:
    """By its `kid`; without one where no other key has the algorithm."""
    kid = algorithm.lower()
    for token in (signed(algorithm, kid), signed(algorithm, None)):
        assert by_file.verify(token, NOW).principal.credential == f"jwt:{kid}"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_another_key_of_the_same_kind_is_refused(by_file: TokenVerifier, algorithm: str) -> None:
    """Though it names a `kid` of ours."""
    assert refusal(signed(algorithm, algorithm.lower(), 1), by_file).code == "token_invalid"


def test_without_a_kid_the_key_must_be_the_only_one(tmp_path: Path) -> None:
    """No key is tried after another."""
    file = write_keys(tmp_path / "jwks.json", jwk("ES256", "a"), jwk("ES256", "b", 1))
    verifier = TokenVerifier(JwtRules(None, file, ISSUER, AUDIENCE))
    assert refusal(signed("ES256", None), verifier).code == "token_invalid"
    assert verifier.verify(signed("ES256", "b", 1), NOW).principal.credential == "jwt:b"


@pytest.mark.parametrize(
    "kid",
    [
        *("../../etc/passwd", "/dev/null", "file:///dev/null", "https://evil.example/keys.json", "es256\0", ""),
        *("x' UNION SELECT 'key' --", "ES256", ["es256"], {"es256": 1}, 0, True),
    ],
)
def test_a_kid_is_compared_and_nothing_else(by_file: TokenVerifier, kid: Any) -> None:
    """No path, no address, no SQL: it is one of the file's, to the letter, or none."""
    header = base64.urlsafe_b64encode(json.dumps({"alg": "ES256", "kid": kid}).encode()).decode()
    assert refusal(f"{header}.{signed('ES256', 'es256').partition('.')[2]}", by_file).code == "token_invalid"


@pytest.mark.parametrize("name", ["none", "None", "NONE", "", "HS512", "RS256", "ES256", None, 1, ["HS256"]])
def test_a_token_by_the_secret_has_one_algorithm(name: Any) -> None:
    """A name of another one, or of none, is refused, with a signature and without."""
    token = shared(headers={"alg": name})
    for one in (token, f"{token.rpartition('.')[0]}."):
        assert refusal(one).code == "token_invalid"


def test_a_public_key_is_no_secret(tmp_path: Path) -> None:
    """Signed by HMAC with the text of a public key, a token is refused, whether or not there is a secret too."""
    file = write_keys(tmp_path / "jwks.json", jwk("RS256"))
    forms = pem("RS256"), json.dumps(jwk("RS256")).encode(), jwk("RS256")["n"].encode(), b""
    for secret in (None, SECRET):
        verifier = TokenVerifier(JwtRules(secret, file, ISSUER, AUDIENCE))
        for algorithm in ("HS256", "RS256"):
            header = json.dumps({"alg": algorithm, "kid": "k1"})
            forged = [by_hand(header, json.dumps(CLAIMS), form) for form in forms]
            assert {refusal(token, verifier).code for token in forged} == {"token_invalid"}
        assert verifier.verify(signed("RS256"), NOW)


def test_the_secret_and_the_file_verify_beside_each_other(tmp_path: Path) -> None:
    """Each its own tokens; the secret names no key, so that its `kid` counts for nothing."""
    verifier = TokenVerifier(JwtRules(SECRET, write_keys(tmp_path / "jwks.json", jwk("EdDSA")), ISSUER, AUDIENCE))
    tokens = shared(headers={"kid": "k1"}), signed("EdDSA")
    assert [verifier.verify(token, NOW).principal.credential for token in tokens] == ["jwt:hs256", "jwt:k1"]


@pytest.mark.parametrize("header", ["jku", "x5u", "jwk", "x5c"])
def test_a_key_that_a_token_brings_is_not_used(by_file: TokenVerifier, header: str) -> None:
    """Neither itself nor the address where it lies: such a token is verified by our key, or not at all."""
    brought = {"jwk": jwk("ES256", "es256", 1), "x5c": ["MII"]}.get(header, "https://127.0.0.1:1/keys")
    forged = jwt.encode(CLAIMS, private_key("ES256", 1), "ES256", {"kid": "es256", header: brought})
    assert refusal(forged, by_file).code == "token_invalid"


@pytest.mark.parametrize("headers", [{"crit": ["exp"]}, {"crit": []}, {"crit": ["b64"], "b64": True}, {"b64": False}])
def test_an_extension_that_must_be_known_is_refused(headers: dict[str, Any]) -> None:
    """We know none."""
    assert refusal(shared(headers=headers)).code == "token_invalid"


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "tenant", "exp"])
def test_a_claim_that_is_missing_is_named(claim: str) -> None:
    """Each of the five is needed."""
    without: dict[str, Any] = {claim: None}
    assert str(refusal(shared(**without))) == f"The token is not accepted: the claim {claim} is missing."


@pytest.mark.parametrize(("claim", "value"), [(claim, value) for claim, values in WRONG.items() for value in values])
def test_a_claim_of_another_value_or_kind_is_refused(claim: str, value: Any) -> None:
    """Nothing is guessed, and no part of a claim is left out."""
    wrong: dict[str, Any] = {claim: value}
    assert refusal(shared(**wrong)).code == "token_invalid"


@pytest.mark.parametrize("ago", [30, 31, 10**6])
def test_a_token_ends(ago: int) -> None:
    """30 s after its time, for clocks that differ."""
    assert refusal(shared(exp=SECONDS - ago)).code == "credential_expired"


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": SECONDS - 29},
        {"exp": SECONDS + 0.5},
        {"nbf": SECONDS + 30},
        {"iat": SECONDS + 30},
        {"aud": ["x", AUDIENCE]},
    ],
    ids=repr,
)
def test_a_clock_may_differ_by_half_a_minute(claims: dict[str, Any]) -> None:
    """Not by more; and a token may be for others beside us."""
    assert BY_SECRET.verify(shared(**claims), NOW)


def test_our_own_clock_counts() -> None:
    """A token that ended by the machine's clock holds at an earlier time."""
    assert BY_SECRET.verify(shared(exp=10), NOW - timedelta(seconds=SECONDS - 5))


@pytest.mark.parametrize(
    ("header", "body", "code"),
    [
        (HEADER, json.dumps(CLAIMS)[:-1] + ', "tenant": "other"}', "token_invalid"),
        (HEADER, json.dumps(CLAIMS)[:-1] + ', "more": {"a": 1, "a": 2}}', "token_invalid"),
        (HEADER, json.dumps(CLAIMS)[:-1] + ', "more": NaN}', "token_invalid"),
        (HEADER, json.dumps([CLAIMS]), "token_invalid"),
        (HEADER, "[" * 3000, "token_invalid"),
        ('{"alg":"none","alg":"HS256"}', json.dumps(CLAIMS), "credential_malformed"),
        ('["HS256"]', json.dumps(CLAIMS), "credential_malformed"),
        ('{"alg":"HS256","x":' + "[" * 3000, json.dumps(CLAIMS), "credential_malformed"),
    ],
)
def test_json_that_readers_could_read_otherwise_is_refused(header: str, body: str, code: str) -> None:
    """Names that stand twice, numbers that are none, and nesting that ends a reader."""
    assert refusal(by_hand(header, body)).code == code


def test_a_huge_token_is_not_read() -> None:
    """More than 8 KiB, signed or not."""
    assert refusal(shared(groups=["x" * 100] * 100)).code == "credential_malformed"
    assert BY_SECRET.verify(shared(groups=["x" * 100] * 50), NOW)


@pytest.mark.parametrize(
    "change", [lambda t: t[:-2], lambda t: f"{t}.x", lambda t: t.replace(".", ",", 1), lambda _: ".."]
)
def test_what_is_cut_is_no_token(change: Any) -> None:
    """It is told so, or that its signature does not fit."""
    assert refusal(change(shared())).code in {"credential_malformed", "token_invalid"}


@given(st.text(max_size=300) | st.lists(st.text("abcdefeyJ0{}=-_", max_size=80), min_size=3, max_size=3).map(".".join))
def test_no_text_is_an_error_of_ours(text: str) -> None:
    """Any text is refused in words."""
    refusal(text)


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        (JwtRules("x" * 31, None, ISSUER, AUDIENCE), "fewer than 32 bytes"),
        (JwtRules(pem("ES256").decode(), None, ISSUER, AUDIENCE), "no secret"),
        (JwtRules(SECRET, None, None, AUDIENCE), "issuer"),
        (JwtRules(SECRET, None, ISSUER, ""), "audience"),
        (JwtRules(None, None, ISSUER, AUDIENCE), "a secret or a JWKS file"),
        (JwtRules(None, Path("missing.json"), ISSUER, AUDIENCE), "No such file"),
    ],
)
def test_rules_that_protect_nothing_stop_the_start(rules: JwtRules, why: str) -> None:
    """In one line, without the secret."""
    with pytest.raises(UnusableRules, match=why) as refused:
        TokenVerifier(rules)
    assert "\n" not in str(refused.value)
    assert rules.secret is None or rules.secret not in f"{refused.value}{rules}"
