"""The names of a service and the pages that may use it: ours, and no other unless the operator names it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from chassis.http.access.origins import Site, may_probe, read_host, read_origin
from chassis.settings import Settings

SITE = Settings(
    _env_file=None,
    host="sayso.internal",
    origins="https://Sign.Example:443, http://127.0.0.1:5173,",
    hosts="proxy.example, 10.0.0.5, [2001:DB8::1]",
    gateway_url="http://gateway:8000",
).site()


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8000",
        "localhost.",
        "127.0.0.1",
        "127.8.9.1:80",
        "127.1:8000",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::1]:8000",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]:8000",
        "sayso.internal:8000",
        "gateway:8000",
        "Proxy.Example",
        "10.0.0.5:9",
        "[2001:db8:0::1]:8000",
        "sign.example",
    ],
)
def test_a_service_answers_to_its_names(host: str) -> None:
    """Loopback in any spelling, the configured host, and what the operator names, each with any port."""
    asked = read_host(host)
    assert asked is not None
    assert SITE.is_named(asked)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "sayso.internal.evil.example",
        "xn--localhost-",
        "128.0.0.1",
        "10.0.0.6",
        "192.168.1.4:8000",
        "[::2]",
        "0.0.0.0",  # noqa: S104 - asked, not bound
        "localhost-",
        "app.localhost",
    ],
)
def test_a_service_answers_to_no_other_name(host: str) -> None:
    """A name that a page can turn to this machine is none of ours."""
    asked = read_host(host)
    assert asked is not None
    assert not SITE.is_named(asked, "127.0.0.1")


def test_the_address_that_a_connection_came_to_is_a_name() -> None:
    """A name of the wider net cannot be an address, so no page can claim it."""
    asked = read_host("10.1.2.3:8000")
    assert asked is not None
    assert SITE.is_named(asked, "10.1.2.3")
    assert not SITE.is_named(asked, "10.1.2.4")
    assert not SITE.is_named(asked)
    named = read_host("sign.evil")
    assert named is not None
    assert not SITE.is_named(named, "sign.evil")


@pytest.mark.parametrize(
    "field",
    [
        "",
        " ",
        "a b",
        "user@localhost",
        "localhost:port",
        "localhost:8000:1",
        "http://localhost",
        "localhost/x",
        "localhost, evil.example",
        "[::1",
        "::1",
        "[localhost]",
        "local\\host",
        "localhost?x",
        "localhost:123456",
    ],
)
def test_a_malformed_host_field_says_nothing(field: str) -> None:
    """One reading: what two readers would split differently is refused."""
    assert read_host(field) is None


@pytest.mark.parametrize(
    ("host", "may"), [("10.1.2.3", True), ("[fd00::7]", True), ("orchestrator", True), ("evil.example", False)]
)
def test_probes_ask_by_addresses_and_by_names_of_containers(host: str, *, may: bool) -> None:
    """Neither can be the name of a page that was turned to this machine."""
    asked = read_host(host)
    assert asked is not None
    assert may_probe(asked.host) is may


@pytest.mark.parametrize("origin", ["https://sign.example", "HTTPS://SIGN.EXAMPLE:443", "http://127.0.0.1:5173"])
def test_an_origin_that_is_named_is_allowed_in_any_spelling(origin: str) -> None:
    """The case of a host and a scheme's own port make no difference, neither in the setting nor in the request."""
    assert SITE.allows(read_origin(origin))


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "*",
        "http://sign.example",
        "https://sign.example:8443",
        "https://sign.example.evil.example",
        "http://127.0.0.1",
        "http://localhost:5173",
        "https://sign.example/",
        "https://user@sign.example",
        "http://[",
        "file://",
        "https://a:b:c",
    ],
)
def test_no_other_origin_is_allowed(origin: str) -> None:
    """Nor what is no origin at all."""
    assert not SITE.allows(read_origin(origin))


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", True),
        ("http://localhost:8000", "localhost:8000", True),
        ("https://sign.example", "sign.example", True),
        ("http://[::1]:8000", "[0::1]:8000", True),
        ("http://localhost:5173", "localhost:8000", False),
        ("http://127.0.0.1:8001", "127.0.0.1:8000", False),
        ("http://sign.example:8000", "sign.example", False),
        ("http://evil.example:8000", "127.0.0.1:8000", False),
        ("null", "127.0.0.1:8000", False),
    ],
)
def test_a_page_of_ours_has_the_host_and_port_that_it_asks(origin: str, host: str, *, own: bool) -> None:
    """A page on another port of this machine may be a stranger's."""
    asked = read_host(host)
    assert asked is not None
    assert Site().is_own_page(read_origin(origin), asked) is own


@pytest.mark.parametrize(
    ("origin", "host", "own"),
    [
        ("http://localhost:8000", "127.0.0.1:8001", True),
        ("https://sign.example:8000", "sign.example:8001", True),
        ("http://localhost:8001", "127.0.0.1:8001", False),
        ("http://evil.example:8000", "127.0.0.1:8001", False),
        ("http://localhost:8000", "sign.example:8001", False),
    ],
)
def test_the_gateways_pages_are_the_notifiers_too(origin: str, host: str, *, own: bool) -> None:
    """They open sockets at the other port of the same host."""
    asked = read_host(host)
    assert asked is not None
    assert Site(page_port=8000).is_own_page(read_origin(origin), asked) is own


@pytest.mark.parametrize(
    "origins",
    [
        "*",
        "null",
        "sign.example",
        "https://sign.example/inbox",
        "https://a.example https://b.example",
        "https://a:port",
    ],
)
def test_what_no_browser_says_is_no_origin(origins: str) -> None:
    """The setting would let no page in, or more pages than were meant."""
    with pytest.raises(ValidationError, match="is no origin"):
        Settings(_env_file=None, origins=origins)


@pytest.mark.parametrize("hosts", ["*", "http://sayso.internal", "sayso.internal:8000", "a b", "::1"])
def test_what_no_client_says_is_no_host(hosts: str) -> None:
    """Hosts are named without scheme and port; a star would name them all."""
    with pytest.raises(ValidationError, match="is no host"):
        Settings(_env_file=None, hosts=hosts)
