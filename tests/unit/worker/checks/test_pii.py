"""The check `pii`: kinds and places of personal data, found by Presidio, and never the data."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from chassis.settings import Settings, SettingsError
from provider_worker.checks.base import Subject
from provider_worker.checks.pii import MOST_CHARACTERS, PiiCheck

MakeSubject = Callable[..., Subject]
CARD, IBAN, MAIL = "4111 1111 1111 1111", "DE89370400440532013000", "bob@example.com"


def _check(**options: Any) -> PiiCheck:
    return PiiCheck.from_settings(Settings(_env_file=None), options)


@pytest.fixture(scope="module")
def pii() -> PiiCheck:
    """Give the check as it is by default."""
    return _check()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"my card is {CARD}", "CREDIT_CARD"),
        (f"pay to {IBAN}", "IBAN_CODE"),
        (f"write to {MAIL}", "EMAIL_ADDRESS"),
        ("call (212) 555-1234", "PHONE_NUMBER"),
        ("my social security number is 536-90-4399", "US_SSN"),
        ("from 192.0.2.17", "IP_ADDRESS"),
        ("to 1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "CRYPTO"),
        (4111111111111111, "CREDIT_CARD"),
    ],
)
async def test_kinds_with_a_pattern_or_a_checksum_are_found(
    pii: PiiCheck, subject: MakeSubject, text: Any, kind: str
) -> None:
    """In texts, and in numbers that are long enough."""
    found = await pii.look(subject(payload={"prompt": text}))
    assert found is not None
    assert found.data == {"kinds": {kind: 1}, "places": ["/prompt"]}
    assert (found.flags, found.force, found.code) == (("pii",), True, "pii_found")


@pytest.mark.parametrize(
    "text", ["4111 1111 1111 1112", "DE89370400440532013001", "bob@localhost", "gpt-5.4-mini", 1767225600, 0.7, True]
)
async def test_what_only_looks_like_it_is_not(pii: PiiCheck, subject: MakeSubject, text: Any) -> None:
    """A wrong checksum, a host without a suffix, a model's name, a point in time."""
    assert await pii.look(subject(payload={"prompt": text})) is None


async def test_a_finding_says_where_and_never_what(pii: PiiCheck, subject: MakeSubject) -> None:
    """It travels in events, and is shown to people who may not see the data."""
    payload = {"messages": [{"content": "hi"}, {"content": f"{CARD} and {MAIL}"}], MAIL: {"card": CARD}}
    found = await pii.look(subject(payload=payload))
    assert found is not None
    assert found.data == {"kinds": {"CREDIT_CARD": 2, "EMAIL_ADDRESS": 2}, "places": ["/messages/1/content", ""]}
    assert found.message == "Looks like personal data: credit card (2), email address (2), in 2 places."
    assert CARD not in found.model_dump_json()
    assert MAIL not in found.model_dump_json()


async def test_a_response_is_looked_at_in_place_of_its_payload(pii: PiiCheck, subject: MakeSubject) -> None:
    """The payload's own data were decided on before."""
    assert await pii.look(subject(payload={"prompt": CARD}, response={"text": "fine"})) is None
    found = await pii.look(subject(response={"text": CARD}))
    assert found is not None
    assert found.data["places"] == ["/text"]


async def test_more_text_than_is_looked_through_asks_for_a_person(pii: PiiCheck, subject: MakeSubject) -> None:
    """The text is unchecked, and the finding says so."""
    found = await pii.look(subject(payload={"prompt": "x" * (MOST_CHARACTERS + 1)}))
    assert found is not None
    assert (found.code, found.force) == ("pii_not_looked_for", True)


async def test_files_are_not_taken_for_text(pii: PiiCheck, subject: MakeSubject) -> None:
    """Their names are digits, and their bytes are not text."""
    payload = {"image": "data:image/png;base64," + "4111111111111111" * 20_000, "file": "artifact:sha256:" + "4" * 64}
    assert await pii.look(subject(payload=payload)) is None


async def test_the_operator_chooses_kinds_certainty_and_force(subject: MakeSubject) -> None:
    """A find without force is a flag for the run's policy."""
    check = _check(entities=["PHONE_NUMBER", "EMAIL_ADDRESS"], threshold=0.9, force=False)
    found = await check.look(subject(payload={"prompt": f"{CARD}, {MAIL}, (212) 555-1234"}))
    assert found is not None
    assert (found.data["kinds"], found.force, found.flags) == ({"EMAIL_ADDRESS": 1}, False, ("pii",))


def test_an_unknown_kind_stops_the_start_with_its_place() -> None:
    """And names those that there are."""
    with pytest.raises(SettingsError, match=r"/pii/entities/1: no such kind; there are CREDIT_CARD, "):
        _check(entities=["CREDIT_CARD", "SHOE_SIZE"])


async def test_detecting_reaches_nothing_on_the_network(monkeypatch: pytest.MonkeyPatch, subject: MakeSubject) -> None:
    """The original fetches the list of public suffixes for its first e-mail address."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("somebody looked a host up")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert await _check().look(subject(payload={"prompt": MAIL})) is not None
