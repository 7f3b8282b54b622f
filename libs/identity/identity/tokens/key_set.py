"""The public keys of token issuers, from a file in the form of RFC 7517 (JWKS). It fetches nothing.

The file is looked at again while it is in use, so that an operator replaces keys without a restart. Reading is synchronous: a look is one
`stat`, at most once a second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import structlog

from identity.errors import UnusableKeySet
from identity.tokens.json_objects import read_object

LOOK_SECONDS = 1.0
MAX_BYTES = 1_000_000
MIN_RSA_BITS = 2048
MAX_KID = 190
"""A credential is named by its key, in an identifier of 200 characters."""

_ALGORITHMS = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}
"""The algorithm of a key by its `kty` and `crv`. A key has one, whatever a token says."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key, and the one algorithm that it verifies."""

    kid: str | None
    algorithm: str
    public: jwt.PyJWK


def parse_key_set(text: bytes | str) -> tuple[VerificationKey, ...]:
    """Return the keys of a JWKS that verify RS256, ES256 or EdDSA; keys of other uses and algorithms are left out.

    Raises UnusableKeySet for what is malformed, for symmetric and private keys, for keys that cannot be told apart, and when none is left.
    """
    try:
        entries = read_object(text).get("keys")
    except ValueError as error:
        raise UnusableKeySet(str(error)) from None
    if not isinstance(entries, list):
        raise UnusableKeySet("it has no list `keys`")
    found = [key for number, entry in enumerate(entries, 1) if (key := _parse(f"key {number}", entry)) is not None]
    if len({(key.kid, key.algorithm) for key in found}) < len(found):
        raise UnusableKeySet("two keys of one algorithm have the same `kid`, or none")
    if not found:
        raise UnusableKeySet("it has no key that verifies RS256, ES256 or EdDSA")
    return tuple(found)


def _parse(place: str, entry: Any) -> VerificationKey | None:
    if not isinstance(entry, dict):
        raise UnusableKeySet(f"{place} is not an object")
    if entry.get("kty") == "oct":
        raise UnusableKeySet(f"{place} is symmetric; a shared secret has a setting of its own")
    if "d" in entry:
        raise UnusableKeySet(f"{place} is a private key; the file is for public ones")
    algorithm = _algorithm(place, entry)
    if algorithm is None:
        return None
    kid = entry.get("kid")
    if kid is not None and not (isinstance(kid, str) and kid.isprintable() and 0 < len(kid) <= MAX_KID):
        raise UnusableKeySet(f"the `kid` of {place} is not a printable text of 1 to {MAX_KID} characters")
    try:
        public = jwt.PyJWK(entry, algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        raise UnusableKeySet(f"{place} is malformed") from None
    if algorithm == "RS256" and public.key.key_size < MIN_RSA_BITS:
        raise UnusableKeySet(f"{place} has fewer than {MIN_RSA_BITS} bits")
    return VerificationKey(kid, algorithm, public)


def _algorithm(place: str, entry: dict[str, Any]) -> str | None:
    """Return the algorithm for which a key is used here, or None when it is for other uses."""
    kty, crv, operations = entry.get("kty"), entry.get("crv"), entry.get("key_ops", ["verify"])
    if not isinstance(kty, str) or not isinstance(crv, str | None) or not isinstance(operations, list):
        raise UnusableKeySet(f"{place} is malformed")
    algorithm = _ALGORITHMS.get((kty, None if kty == "RSA" else crv))
    is_meant = entry.get("use", "sig") == "sig" and "verify" in operations and entry.get("alg", algorithm) == algorithm
    return algorithm if is_meant else None


class KeySetFile:
    """The keys of a file as it is now. A new file that is unusable is told once in the log, and the former keys stay."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """Read the file. Raises UnusableKeySet. `clock` counts seconds and never goes back."""
        self._path = path
        self._clock = clock
        self._looked_at = clock()
        self._state = self._look()
        self._keys = self._read()

    def keys(self) -> tuple[VerificationKey, ...]:
        """Return the keys, at most LOOK_SECONDS old."""
        now = self._clock()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            self._refresh()
        return self._keys

    def _refresh(self) -> None:
        state = self._look()
        if state == self._state:
            return
        # Looked at before it is read: what is written meanwhile is another state, and is read at the next look.
        self._state = state
        try:
            self._keys = self._read()
        except UnusableKeySet as error:
            _log.error("the new JWKS file is unusable; the former keys stay", file=self._path.name, reason=str(error))
        else:
            _log.info("the JWKS file was read again", file=self._path.name, keys=len(self._keys))

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> tuple[VerificationKey, ...]:
        try:
            with self._path.open("rb") as file:
                text = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise UnusableKeySet(f"it cannot be read: {error.strerror}") from None
        if len(text) > MAX_BYTES:
            raise UnusableKeySet(f"it is larger than {MAX_BYTES} bytes")
        return parse_key_set(text)
