"""What the values of settings have to be, each by the one reading of its kind. What is wrong is said in words fit for one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr
from pydantic_core import PydanticCustomError

from chassis.http.access.origins import is_loopback, read_host, read_origin
from chassis.http.upstream import parse_base_url, parse_key
from chassis.postgres.database_url import parse_database_url
from contracts.addresses.kafka import parse_kafka_addresses
from contracts.addresses.links import host_name

T = TypeVar("T")


def listed(several: str | None) -> list[str]:
    """Return the values of a setting that may have several, with commas between."""
    return [one.strip() for one in (several or "").split(",") if one.strip()]


def _read(code: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise PydanticCustomError(code, "{why}", {"why": str(error)}) from None


def _kafka(addresses: str) -> str:
    return _read("addresses", parse_kafka_addresses, addresses)


def _database(url: SecretStr) -> SecretStr:
    text = url.get_secret_value().strip()
    _read("url", parse_database_url, text)
    return SecretStr(text)


def _base_url(url: str | None) -> str | None:
    return None if url is None or not url.strip() else _read("url", parse_base_url, url)


def _key(given: SecretStr | None) -> SecretStr | None:
    key = None if given is None else _read("key", parse_key, given.get_secret_value())
    return None if key is None else SecretStr(key)


def _origins(origins: str | None) -> str | None:
    for origin in listed(origins):
        if read_origin(origin) is None:
            raise PydanticCustomError(
                "origins", "{origin} is no origin, such as https://sign.example", {"origin": repr(origin)}
            )
    return origins


def _hosts(hosts: str | None) -> str | None:
    for host in listed(hosts):
        if (found := read_host(host)) is None or found.port is not None:
            raise PydanticCustomError("hosts", "{host} is no host, such as sayso.internal", {"host": repr(host)})
    return hosts


def _issuer(issuer: str | None) -> str | None:
    if issuer is None:
        return None
    parts = urlsplit(_read("url", parse_base_url, issuer))
    if parts.scheme != "https" and not is_loopback(host_name(parts.hostname or "")):
        raise PydanticCustomError("url", "an issuer elsewhere than on this machine is asked under https alone")
    return issuer  # as it is: a slash at its end is a part of its name


KafkaAddresses = Annotated[str, AfterValidator(_kafka)]
DatabaseSecret = Annotated[SecretStr, AfterValidator(_database)]
BaseUrl = Annotated[str | None, AfterValidator(_base_url)]
Issuer = Annotated[str | None, AfterValidator(_issuer)]
Key = Annotated[SecretStr | None, AfterValidator(_key)]
Origins = Annotated[str | None, AfterValidator(_origins)]
Hosts = Annotated[str | None, AfterValidator(_hosts)]
