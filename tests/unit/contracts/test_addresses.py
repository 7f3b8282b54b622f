"""Hosts in any spelling, and the URLs and names that are taken from outside."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from contracts.addresses.links import OpenLink, address_of, host_name
from contracts.message import Identifier, StoredIdentifier
from contracts.runs.requests import RunRequest

LINK: TypeAdapter[str] = TypeAdapter(OpenLink)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("0x7F.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("[::1]", "::1"),
        ("0:0::0:1", "::1"),
        ("[::ffff:127.0.0.1]", "127.0.0.1"),
        ("[fe80::1%25eth0]", "fe80::1"),
        ("64:ff9b::a9fe:a9fe", "169.254.169.254"),
        ("2002:a9fe:a9fe::", "169.254.169.254"),
    ],
)
def test_an_address_is_known_in_any_spelling(host: str, address: str) -> None:
    """Clients take all of these for the one."""
    assert str(address_of(host)) == host_name(host) == address


@pytest.mark.parametrize(
    "host", ["localhost", "a.example", "face", "127.0.0.1.evil.example", "1.2.3.4.5", "256.1.1.1", ""]
)
def test_a_name_is_no_address(host: str) -> None:
    """Whatever it looks like."""
    assert address_of(host) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/done?x=a@b",
        "http://127.0.0.1:9000/done",
        "http://[::1]:9000/",
        "https://b\u00fccher.example/",
        "https://a.example:8443",
    ],
)
def test_an_ordinary_url_is_taken(url: str) -> None:
    """As it was written."""
    assert LINK.validate_python(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "https://ann:secret@a.example/",
        "https://ann@a.example/",
        "https://@a.example/",
        "http://169.254.169.254/",
        "http://169.254.169.254./",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://169.254.43518/",
        "http://[fe80::1]/",
        "http://[fe80::1%25eth0]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[fd00:ec2::254]/",
        "http://100.100.100.200/",
        "http://metadata/",
        "http://Metadata.Google.Internal./",
        "http://%31%36%39.254.169.254/",
        "http://169\u3002254\u3002169\u3002254/",
        "http://0.0.0.0/",
        "http://224.0.0.1/",
        "http://a.example\\@b.example/",
        "http://a.example:99999/",
        "http:///done",
        "https://a.example/\u202egpj",
        "ftp://a.example/",
    ],
)
def test_a_url_with_a_secret_or_of_no_machine_of_its_own_is_refused(url: str) -> None:
    """It would stand in the history, or lead to what only this machine may ask; the reason repeats no secret."""
    with pytest.raises(ValidationError) as refused:
        LINK.validate_python(url)
    assert "secret" not in str(refused.value.errors(include_input=False, include_url=False))


UNSEEN = [
    "\u202e",
    "\u2066",
    "\u200f",
    "\u061c",
    "\u2028",
    "\u2029",
    "\x85",
    "\n",
    "\x7f",
    "\u200b",
    "\ufeff",
    "\u00ad",
]


@pytest.mark.parametrize("mark", UNSEEN, ids=ascii)
def test_a_name_holds_no_mark_that_is_not_seen(mark: str) -> None:
    """It would be shown as another name, or as two lines."""
    with pytest.raises(ValidationError):
        TypeAdapter(Identifier).validate_python(f"ann{mark}bob")


@pytest.mark.parametrize(
    "name",
    ["ann@example.com", "M\u00fcller", "\u65e5\u672c", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "a b"],
)
def test_names_of_all_languages_are_taken(name: str) -> None:
    """Joiners too, which change how some of them are written."""
    assert TypeAdapter(Identifier).validate_python(name) == name


def test_what_was_taken_once_is_read_for_ever() -> None:
    """Rules for what comes from outside do not bind what is stored."""
    name, url = "ann\u202ebob", "https://ann:old@a.example/"
    assert TypeAdapter(StoredIdentifier).validate_python(name) == name
    assert RunRequest(prompt="p", user_id=name, labels={name: ""}, callback_url=url).user_id == name
