"""API keys: a mistyped one is told from an unknown one, and nothing but its hash is needed to know it again."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from contracts.identity import Principal, Role
from identity.errors import Unauthenticated
from identity.keys.record import KeyRecord, digest_of, is_key, key_id_of, new_key, principal_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)
RECORD = KeyRecord(
    id=UUID(int=7),
    tenant="acme",
    name="nightly build",
    subject="builder",
    kind="service",
    roles=(Role.REQUESTER,),
    groups=("ops",),
    scopes=("runs:start", "of a newer version"),
    owner="ann",
    prefix="sayso_AbCdEf",
    created_at=NOW,
    created_by="ann",
)


def test_a_key_has_one_form_and_is_never_made_twice() -> None:
    """A name that scanners find, 43 random characters, 6 of a checksum; the hash is of the whole text."""
    keys = [new_key() for _ in range(100)]
    assert all(re.fullmatch(r"sayso_[A-Za-z0-9_-]{43}[0-9A-Za-z]{6}", key.text) for key in keys)
    assert len({key.text for key in keys}) == len(keys)
    assert all(key.prefix == key.text[:12] for key in keys)
    assert all(digest_of(key.text) == key.sha256 == hashlib.sha256(key.text.encode()).hexdigest() for key in keys)


def test_the_checksum_is_the_same_for_ever() -> None:
    """Keys of today are read by later versions."""
    text = f"sayso_{'A' * 43}4CDfFW"
    assert digest_of(text) == hashlib.sha256(text.encode()).hexdigest()


def test_every_mistyped_character_is_noticed() -> None:
    """Wherever it stands; the message has nothing of the key."""
    key = new_key().text
    for at in range(len("sayso_"), len(key)):
        with pytest.raises(Unauthenticated) as refused:
            digest_of(key[:at] + ("x" if key[at] != "x" else "y") + key[at + 1 :])
        assert refused.value.code == "credential_malformed"
        assert key[6:12] not in str(refused.value)


@pytest.mark.parametrize("change", [lambda key: key[:-1], lambda key: f"{key}0", lambda key: f"{key}\n", str.upper])
def test_a_key_that_is_cut_or_changed_is_malformed(change: object) -> None:
    """It costs no query."""
    assert callable(change)
    with pytest.raises(Unauthenticated):
        digest_of(change(new_key().text))


@pytest.mark.parametrize(
    ("text", "means"), [("sayso_", True), ("sayso_short", True), ("eyJhbGciOiJIUzI1NiJ9.e30.x", False), ("", False)]
)
def test_what_means_to_be_a_key_is_known_by_its_beginning(text: str, means: bool) -> None:  # noqa: FBT001
    """Well formed or not."""
    assert is_key(text) is means


def test_a_key_brings_its_principal() -> None:
    """With its owner, and with the key's id in place of the key."""
    found = principal_of(RECORD)
    assert found == Principal(
        tenant="acme",
        subject="builder",
        kind="service",
        name="nightly build",
        roles=(Role.REQUESTER,),
        groups=("ops",),
        scopes=("runs:start", "of a newer version"),
        credential=f"key:{RECORD.id}",
        owner="ann",
    )
    assert (key_id_of(found.credential), key_id_of("jwt:k1")) == (RECORD.id, None)


@pytest.mark.parametrize(
    ("expires", "revoked", "state"),
    [(None, None, "active"), (1, None, "active"), (0, None, "expired"), (-1, -2, "revoked"), (None, 5, "revoked")],
)
def test_a_key_ends_by_its_time_or_by_a_person(expires: int | None, revoked: int | None, state: str) -> None:
    """At the very moment it is over; a revocation counts at once, though the clock of who revoked goes ahead."""
    ends, was_revoked = (None if one is None else NOW + timedelta(seconds=one) for one in (expires, revoked))
    assert replace(RECORD, expires_at=ends, revoked_at=was_revoked).state_at(NOW) == state
