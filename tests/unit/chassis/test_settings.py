"""Settings as files, consoles and shells hand them over: space around a value counts for nothing, and each value has one reading."""

from __future__ import annotations

from pathlib import Path

import pytest

from chassis.settings import SettingsError, load_settings
from contracts.addresses.kafka import parse_kafka_addresses

ADDRESSES = {
    "kafka:9092": "kafka:9092",
    " kafka:9092\n": "kafka:9092",
    "a:9092, b:9092 ,c:9093": "a:9092,b:9092,c:9093",
    "a:9092,b:9092,": "a:9092,b:9092",
    "[::1]:9092,127.0.0.1:9092": "[::1]:9092,127.0.0.1:9092",
    "pkc-4nym6.us-east-1.aws.confluent.cloud:9092": "pkc-4nym6.us-east-1.aws.confluent.cloud:9092",
}

NO_ADDRESSES = {
    "kafka://kafka:9092": "scheme",
    "PLAINTEXT://kafka:9092": "scheme",
    "SASL_SSL://a:9092,SASL_SSL://b:9092": "scheme",
    "kafka": "host:port",
    "kafka:port": "host:port",
    "kafka:99999": "host:port",
    "kafka:0": "host:port",
    "a:9092;b:9092": "host:port",
    "a:9092 b:9092": "host:port",
    "::1:9092": "host:port",
    "user@kafka:9092": "host:port",
    "kafka:9092/topic": "host:port",
    ",": "host:port",
}

TRIMMED = {
    "OPENAI_API_KEY": ("sk-1\n", "sk-1"),
    "OPENAI_BASE_URL": (" http://127.0.0.1:8080/v1\n", "http://127.0.0.1:8080/v1"),
    "SAYSO_HOST": ("127.0.0.1 \n", "127.0.0.1"),
    "SAYSO_GATEWAY_PORT": (" 8000\n", 8000),
    "SAYSO_LOG_LEVEL": ("debug\r\n", "debug"),
    "SAYSO_LOG_ID": ("\tlog-1 ", "log-1"),
    "SAYSO_AUTH": ("insecure\n", "insecure"),
    "SAYSO_CIRCUIT_SECONDS": ("1.5 ", 1.5),
    "SAYSO_GATEWAY_URL": ("http://gateway:8000\n", "http://gateway:8000"),
    "DATABASE_URL": ("postgresql://app:x@host/app \n", "postgresql://app:x@host/app"),
}


@pytest.mark.parametrize(("given", "read"), ADDRESSES.items())
def test_kafkas_addresses_are_read_alike_by_all(given: str, read: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Services and `python -m messaging` get the same, in the form that every client takes."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", given)
    assert load_settings(_env_file=None).kafka_bootstrap_servers == read == parse_kafka_addresses(given)


@pytest.mark.parametrize(("given", "named"), NO_ADDRESSES.items())
def test_what_is_no_address_is_refused_at_the_start(given: str, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line that says what is expected."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", given)
    with pytest.raises(SettingsError, match=rf"^KAFKA_BOOTSTRAP_SERVERS: .*{named}.*$"):
        load_settings(_env_file=None)


@pytest.mark.parametrize("name", TRIMMED)
def test_space_around_a_value_counts_for_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that was read from a file ends with a newline, which no vendor and no driver takes."""
    given, wanted = TRIMMED[name]
    monkeypatch.setenv(name, given)
    settings = load_settings(_env_file=None)
    found = getattr(settings, name.removeprefix("SAYSO_").lower())
    assert (found.get_secret_value() if hasattr(found, "get_secret_value") else found) == wanted


@pytest.mark.parametrize("nothing", ["", " ", "\n"])
def test_a_value_of_nothing_but_space_is_not_given(nothing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default holds, as where the variable is empty or missing."""
    for name in ("OPENAI_API_KEY", "KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "SAYSO_GATEWAY_PORT"):
        monkeypatch.setenv(name, nothing)
    settings = load_settings(_env_file=None)
    assert (settings.openai_api_key, settings.kafka_bootstrap_servers, settings.gateway_port) == (
        None,
        "127.0.0.1:9092",
        8000,
    )


def test_a_file_is_read_as_the_environment_is(tmp_path: Path) -> None:
    """A quoted value in `.env` keeps its space until it is read."""
    file = tmp_path / "settings.env"
    file.write_text('KAFKA_BOOTSTRAP_SERVERS=" a:9092, b:9092 "\nDATABASE_URL="postgres://app@host/app "\n')
    settings = load_settings(_env_file=file)
    assert settings.kafka_bootstrap_servers == "a:9092,b:9092"
    assert settings.database_url.get_secret_value() == "postgres://app@host/app"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
@pytest.mark.parametrize("auth", ["off", "on", "insecure"])
def test_on_loopback_every_kind_of_authentication_is_accepted(host: str, auth: str) -> None:
    """Nothing else reaches it."""
    assert load_settings(_env_file=None, host=host, auth=auth).auth == auth


BEYOND = ("0.0.0.0", "::", "10.0.0.5", "sayso.internal", "127.0.0.1.example", "localhost.example")  # noqa: S104 - refused


@pytest.mark.parametrize("host", BEYOND)
def test_beyond_loopback_authentication_is_on_or_said_to_be_elsewhere(host: str) -> None:
    """A name may resolve to anything, however it begins."""
    with pytest.raises(SettingsError, match=r"^SAYSO_AUTH: off is accepted on loopback only"):
        load_settings(_env_file=None, host=host)
    for auth in ("on", "insecure"):
        assert load_settings(_env_file=None, host=host, auth=auth).host == host
