"""An issuer of tokens for tests: its keys, their public forms, and what it signs, well formed or not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Json = dict[str, Any]
PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
SECRET = "a secret of tests, with 32 bytes"  # noqa: S105 - it is one
ISSUER, AUDIENCE = "https://issuer.example", "sayso"
ALGORITHMS = ("RS256", "ES256", "EdDSA")
CLAIMS: Json = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "ann",
    "tenant": "acme",
    "exp": SECONDS + 600,
    "roles": ["reviewer"],
    "groups": ["legal"],
    "name": "Ann",
}


@cache
def private_key(algorithm: str, which: int = 0, bits: int = 2048) -> PrivateKey:
    """Return one of the issuer's keys, the same for the same arguments."""
    del which
    match algorithm:
        case "RS256":
            return generate_rsa_key(65537, bits)
        case "ES256":
            return generate_private_key(SECP256R1())
        case _:
            return Ed25519PrivateKey.generate()


def jwk(algorithm: str, kid: str | None = "k1", which: int = 0, *, private: bool = False, **members: Any) -> Json:
    """Return a key as a JWK, public unless told otherwise."""
    key = private_key(algorithm, which)
    found: Json = jwt.get_algorithm_by_name(algorithm).to_jwk(key if private else key.public_key(), as_dict=True)
    found.pop("key_ops", None)
    return found | ({} if kid is None else {"kid": kid}) | members


def pem(algorithm: str) -> bytes:
    """Return a public key as text."""
    return private_key(algorithm).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def write_keys(file: Path, *keys: Any) -> Path:
    """Write a JWKS; the file is replaced at once, as a careful operator does it."""
    return write_text(file, json.dumps({"keys": keys}))


def write_text(file: Path, text: str) -> Path:
    """Replace a file."""
    new = file.with_suffix(".new")
    new.write_text(text)
    return new.replace(file)


def signed(algorithm: str, kid: str | None = "k1", which: int = 0, **claims: Any) -> str:
    """Return a token by a key of the issuer."""
    headers = None if kid is None else {"kid": kid}
    return jwt.encode(CLAIMS | claims, private_key(algorithm, which), algorithm, headers)


def shared(secret: str = SECRET, headers: Json | None = None, **claims: Any) -> str:
    """Return a token by the shared secret. A claim of None is left out."""
    kept = {name: value for name, value in (CLAIMS | claims).items() if value is not None}
    return by_hand(json.dumps({"alg": "HS256"} | (headers or {})), json.dumps(kept), secret.encode())


def by_hand(header: str, body: str, secret: bytes = SECRET.encode()) -> str:
    """Sign any two texts by HMAC, as an attacker may who is held to no library."""
    signing = f"{_encode(header.encode())}.{_encode(body.encode())}"
    return f"{signing}.{_encode(hmac.digest(secret, signing.encode(), hashlib.sha256))}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
