"""The file of public keys: replaced while it is in use, and never for something that verifies nothing or too much."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from identity.errors import Unauthenticated, UnusableKeySet
from identity.tokens.key_set import parse_key_set
from identity.tokens.verifier import JwtRules, TokenVerifier

from .issuer import AUDIENCE, ISSUER, NOW, Json, jwk, private_key, signed, write_keys, write_text


class Site:
    """A verifier on a file, with a clock that goes when told to."""

    def __init__(self, file: Path) -> None:
        self.file = write_keys(file, jwk("ES256"))
        self.seconds = 0.0
        self._verifier = TokenVerifier(JwtRules(None, self.file, ISSUER, AUDIENCE), lambda: self.seconds)

    def accepts(self, which: int) -> bool:
        """Say whether a token by this key is accepted now."""
        try:
            self._verifier.verify(signed("ES256", which=which), NOW)
        except Unauthenticated:
            return False
        return True


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """Give a verifier with one key."""
    return Site(tmp_path / "jwks.json")


def test_a_file_that_is_replaced_counts_within_a_second(site: Site) -> None:
    """Then the new key is accepted, and the old one is not."""
    write_keys(site.file, jwk("ES256", which=1))
    site.seconds = 0.9
    assert (site.accepts(0), site.accepts(1)) == (True, False)
    site.seconds = 1.0
    assert (site.accepts(0), site.accepts(1)) == (False, True)


@pytest.mark.parametrize(
    "broken", ["", '{"keys": [', "[]", '{"keys": []}', '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}', None]
)
def test_a_broken_file_keeps_the_keys_and_is_told_once(site: Site, broken: str | None) -> None:
    """With the reason, and not at each look; the next good file counts again."""
    if broken is None:
        site.file.unlink()
    else:
        write_text(site.file, broken)
    with capture_logs() as logs:
        for site.seconds in (1.0, 2.0, 3.0):
            assert site.accepts(0)
    (told,) = logs
    assert (told["log_level"], told["file"]) == ("error", "jwks.json")
    assert told["reason"]
    write_keys(site.file, jwk("ES256", which=1))
    site.seconds = 4.0
    assert (site.accepts(0), site.accepts(1)) == (False, True)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"kty": "oct", "k": "c2VjcmV0", "kid": "k1"}, "key 1 is symmetric"),
        (jwk("RS256", private=True), "key 1 is a private key"),
        (jwk("ES256", private=True), "key 1 is a private key"),
        (jwk("ES256", x="AAAA"), "key 1 is malformed"),
        (jwk("ES256", y=None), "key 1 is malformed"),
        (jwk("RS256", n=5), "key 1 is malformed"),
        (jwk("EdDSA", x="?"), "key 1 is malformed"),
        ({"kid": "k1"}, "key 1 is malformed"),
        ("a key", "key 1 is not an object"),
        *((jwk("ES256", kid=None) | {"kid": kid}, "the `kid` of key 1") for kid in ("", 5, "a\nb", "x" * 191)),
    ],
)
def test_a_set_with_a_bad_key_is_refused_whole(entry: Any, why: str) -> None:
    """The place is named: a half of a set would be a surprise later."""
    with pytest.raises(UnusableKeySet, match=why):
        parse_key_set(json.dumps({"keys": [entry, jwk("EdDSA", "other")]}))


def test_a_short_key_is_refused() -> None:
    """Fewer than 2048 bits of RSA are broken by those who can pay for it."""
    numbers = private_key("RS256", bits=1024).public_key().public_numbers()  # type: ignore[union-attr]
    short = jwk("RS256") | {"n": _base64_of(numbers.n)}  # type: ignore[union-attr]
    with pytest.raises(UnusableKeySet, match="fewer than 2048 bits"):
        parse_key_set(json.dumps({"keys": [short]}))


@pytest.mark.parametrize("kid", ["k1", None])
def test_keys_that_cannot_be_told_apart_are_refused(kid: str | None) -> None:
    """Of one algorithm, with one name or none."""
    with pytest.raises(UnusableKeySet, match="two keys"):
        parse_key_set(json.dumps({"keys": [jwk("ES256", kid), jwk("ES256", kid, 1)]}))


@pytest.mark.parametrize(
    "other",
    [
        jwk("RS256", use="enc"),
        jwk("RS256", alg="RSA-OAEP"),
        jwk("RS256", alg="RS512"),
        jwk("RS256", key_ops=["encrypt"]),
        jwk("ES256", crv="P-384"),
        jwk("EdDSA", crv="X25519"),
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
    ],
    ids=lambda other: other.get("alg") or other.get("crv") or "use",
)
def test_keys_for_other_uses_are_left_out(other: Json) -> None:
    """Issuers publish them beside those that sign."""
    text = json.dumps({"keys": [other, jwk("EdDSA", "mine")]})
    assert [key.kid for key in parse_key_set(text)] == ["mine"]
    with pytest.raises(UnusableKeySet, match="no key that verifies"):
        parse_key_set(json.dumps({"keys": [other]}))


def _base64_of(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8)).rstrip(b"=").decode()
