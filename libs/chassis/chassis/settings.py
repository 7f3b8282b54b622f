"""The settings of all services, read once in each composition root from the environment or `.env`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, TypeAdapter, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis import failpoints
from chassis.http.access.origins import Site, read_origin
from chassis.setting_names import doubtful_names, unknown_name
from chassis.setting_values import BaseUrl, DatabaseSecret, Hosts, Issuer, KafkaAddresses, Key, Origins, listed
from contracts.addresses.links import host_name
from contracts.json_text import JsonRefused, read_json
from contracts.validation.faults import faults_of

T = TypeVar("T")

ENV_FILE, _ENCODING = ".env", "utf-8-sig"
"""The encoding takes the mark that editors of Windows begin a file with."""

SAID_BY_STACK = "SAYSO_SAID_BY_STACK"
"""Set by `make run` for its services: what concerns all of them it has said itself."""


class SettingsError(Exception):
    """A setting is unknown or malformed; the message names it and is fit to be printed alone."""


class Settings(BaseSettings):
    """Every setting of Sayso. One class for all services, so that a misspelt name is noticed by each of them."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_file_encoding=_ENCODING,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        env_ignore_empty=True,
        populate_by_name=True,
    )

    kafka_bootstrap_servers: KafkaAddresses = Field(
        "127.0.0.1:9092", description="Where Kafka answers, host:port[,host:port]."
    )
    database_url: DatabaseSecret = Field(
        SecretStr("postgresql://127.0.0.1:5432/sayso"), description="PostgreSQL, as a URL."
    )

    openai_api_key: Key = Field(None, description="Key of the OpenAI provider.")
    openai_base_url: BaseUrl = Field(None, description="Any OpenAI-compatible server in place of OpenAI.")
    anthropic_api_key: Key = Field(None, description="Key of the Anthropic provider.")
    anthropic_base_url: BaseUrl = Field(None, description="Another server in place of Anthropic.")
    replicate_api_token: Key = Field(None, description="Token of the Replicate provider.")
    replicate_base_url: BaseUrl = Field(None, description="Another server in place of Replicate.")
    hf_token: Key = Field(None, description="Token of the HuggingFace provider.")
    hf_base_url: BaseUrl = Field(None, description="Another server in place of HuggingFace.")

    auth: Literal["on", "off", "insecure"] = Field(
        "off",
        alias="SAYSO_AUTH",
        description="`on`: every call needs an API key or a token. `off` is accepted on loopback only; `insecure` anywhere, for a network "
        "that is closed by other means.",
    )
    jwt_secret: Key = Field(
        None,
        alias="SAYSO_JWT_SECRET",
        description="Accept tokens signed with HS256 by this secret, of 32 bytes at least.",
    )
    jwks_file: Path | None = Field(
        None,
        alias="SAYSO_JWKS_FILE",
        description="Accept tokens signed by a key of this JWKS file (RS256, ES256, EdDSA). It is read again when it changes.",
    )
    jwt_issuer: str | None = Field(None, alias="SAYSO_JWT_ISSUER", description="Who issues the tokens: their `iss`.")
    jwt_audience: str | None = Field(
        None, alias="SAYSO_JWT_AUDIENCE", description="For whom the tokens are issued: in their `aud`."
    )
    oidc_issuer: Issuer = Field(
        None,
        alias="SAYSO_OIDC_ISSUER",
        description="Let people sign in with this OpenID Connect provider, as its discovery document names it.",
    )
    oidc_client_id: str | None = Field(
        None, alias="SAYSO_OIDC_CLIENT_ID", description="What the provider calls this installation."
    )
    oidc_client_secret: Key = Field(
        None, alias="SAYSO_OIDC_CLIENT_SECRET", description="The client's secret; none for a public client."
    )
    oidc_scopes: str = Field(
        "openid profile email", alias="SAYSO_OIDC_SCOPES", description="What the provider is asked for."
    )
    oidc_roles_claim: str = Field(
        "roles",
        alias="SAYSO_OIDC_ROLES_CLAIM",
        description="The claim of the ID token that has the roles; `realm_access.roles` is a member of a claim.",
    )
    oidc_groups_claim: str = Field("groups", alias="SAYSO_OIDC_GROUPS_CLAIM", description="The claim with the groups.")
    oidc_tenant_claim: str = Field(
        "tenant",
        alias="SAYSO_OIDC_TENANT_CLAIM",
        description="The claim with the tenant; where the token has none, it is `default`.",
    )
    data_dir: Path = Field(
        Path(".sayso"),
        alias="SAYSO_DATA_DIR",
        description="Where the local stack keeps its data, and the gateway writes the first API key.",
    )
    host: str = Field("127.0.0.1", alias="SAYSO_HOST", description="Address every service listens on.")
    gateway_port: int = Field(8000, alias="SAYSO_GATEWAY_PORT", ge=0, le=65535, description="Port of REST.")
    notifier_port: int = Field(8001, alias="SAYSO_NOTIFIER_PORT", ge=0, le=65535, description="Port of the WebSocket.")
    orchestrator_port: int = Field(
        8002, alias="SAYSO_ORCHESTRATOR_PORT", ge=0, le=65535, description="Port of health and metrics."
    )
    worker_port: int = Field(8003, alias="SAYSO_WORKER_PORT", ge=0, le=65535, description="Port of health and metrics.")
    origins: Origins = Field(
        None,
        alias="SAYSO_ORIGINS",
        description="Pages beside our own that may read, write and open sockets, as origins with commas between: `https://sign.example`.",
    )
    hosts: Hosts = Field(
        None,
        alias="SAYSO_HOSTS",
        description="Names by which services are asked beside loopback, SAYSO_HOST and the hosts of SAYSO_ORIGINS and SAYSO_GATEWAY_URL, "
        "with commas between: `sayso.internal,10.0.0.5`.",
    )
    gateway_url: BaseUrl = Field(None, alias="SAYSO_GATEWAY_URL", description="Where the notifier reads snapshots.")

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", alias="SAYSO_LOG_LEVEL", description="`debug`, `info`, `warning` or `error`."
    )
    log_format: Literal["console", "json"] = Field(
        "console", alias="SAYSO_LOG_FORMAT", description="`console` for people, `json` for machines."
    )
    log_id: str | None = Field(
        None, alias="SAYSO_LOG_ID", description="Name of the Kafka log; default is the cluster's id."
    )
    fetch_wait_ms: int = Field(
        500,
        alias="SAYSO_FETCH_WAIT_MS",
        ge=1,
        le=30_000,
        description="Milliseconds that a fetch from Kafka waits at most; 100 or more once nothing came for 2 s. "
        "The embedded broker always waits this long.",
    )
    kafka_steady_path: bool = Field(
        default=True,
        alias="SAYSO_KAFKA_STEADY_PATH",
        description="`false` leaves all fetching and sending to the Kafka client library: more CPU, and fewer lines of ours.",
    )
    outcome_wait_seconds: float = Field(
        10,
        alias="SAYSO_OUTCOME_WAIT_SECONDS",
        gt=0,
        le=120,
        description="How long a write waits for its outcome before it answers 202.",
    )
    max_body_bytes: int = Field(
        256 * 1024,
        alias="SAYSO_MAX_BODY_BYTES",
        ge=1024,
        le=512 * 1024,
        description="Largest JSON body and WebSocket message.",
    )
    max_artifact_bytes: int = Field(
        25 * 1024 * 1024,
        alias="SAYSO_MAX_ARTIFACT_BYTES",
        ge=1024,
        description="Largest file: of an upload, and of a provider's output that lies at an address.",
    )
    prices: Path | None = Field(
        None,
        alias="SAYSO_PRICES",
        description="A JSON file with prices of your own: `{provider: {model: {kind: price}}}`, in US dollars, tokens by the million.",
    )
    checks: str | None = Field(
        None,
        alias="SAYSO_CHECKS",
        description="Checks before reviews, in JSON: a list of names, or an object with options by name.",
    )
    budgets: str | None = Field(
        None,
        alias="SAYSO_BUDGETS",
        description='What calls may cost, in US dollars, in JSON: `{"period": "month", "tenant": {"default": "100"}, "user": {…}, "run": "1"}`.',
    )
    limits: str | None = Field(
        None,
        alias="SAYSO_LIMITS",
        description="What each provider's account allows all workers together, in JSON: "
        '`{"openai": {"requests_per_minute": 500, "tokens_per_minute": 200000, "concurrency": 20}}`.',
    )
    routes: str | None = Field(
        None,
        alias="SAYSO_ROUTES",
        description="What the provider `router` chooses among, in JSON, by the name that stands for the model: "
        '`{"cheap-text": [{"choose": "cheapest", "among": [{"provider": "openai", "model": "…"}, …]}]}`.',
    )
    circuit_failures: int = Field(
        5,
        alias="SAYSO_CIRCUIT_FAILURES",
        ge=0,
        description="Calls in a row that find a provider down before a worker stops asking it; 0 for never.",
    )
    circuit_seconds: float = Field(
        30,
        alias="SAYSO_CIRCUIT_SECONDS",
        gt=0,
        le=3600,
        description="How long a worker does not ask a provider that is down.",
    )
    worker_concurrency: int = Field(
        32,
        alias="SAYSO_WORKER_CONCURRENCY",
        ge=1,
        le=1000,
        description="Orders that one worker carries out at once.",
    )
    sandbox_delay_seconds: float = Field(
        0, alias="SAYSO_SANDBOX_DELAY_SECONDS", ge=0, description="Seconds that the sandbox takes to answer."
    )

    @model_validator(mode="before")
    @classmethod
    def _trim(cls, given: Any) -> Any:
        # A file that is read into a variable ends with a newline, which no reader of a value expects.
        if not isinstance(given, Mapping):
            return given
        trimmed = {name: value.strip() if isinstance(value, str) else value for name, value in given.items()}
        return {name: value for name, value in trimmed.items() if value != "" or given[name] == ""}

    def site(self, page_port: int | None = None) -> Site:
        """Return the names of our services and the pages that may use them; `page_port` is where another service of ours has pages."""
        asked = [self.host, urlsplit(self.gateway_url or "").hostname or "", *listed(self.hosts)]
        origins = filter(None, map(read_origin, listed(self.origins)))
        return Site(frozenset(host_name(host) for host in asked if host), frozenset(origins), page_port)

    @property
    def admin_key_file(self) -> Path:
        """Where the gateway writes the first API key, while `auth` is on."""
        return self.data_dir / "admin.key"

    @property
    def gateway(self) -> str:
        """Where the gateway answers, as a URL without a trailing slash."""
        return self.gateway_url or f"http://127.0.0.1:{self.gateway_port}"


def load_settings(**given: Any) -> Settings:
    """Read the settings; arguments win over the environment, the environment over `.env`.

    Raises SettingsError with one line for the first setting that is unknown or malformed.
    """
    if unknown := unknown_name(_given_names() - {failpoints.VARIABLE, SAID_BY_STACK}, setting_names()):
        raise SettingsError(unknown)
    try:
        settings = Settings(**given)
    except ValidationError as error:
        first, *_ = faults_of(error, Settings)
        name = str(first.places[0]).upper() if first.places else "settings"
        raise SettingsError(f"{name}: {first.message}") from None
    if settings.auth == "off" and not _is_loopback(settings.host):
        raise SettingsError(
            f"SAYSO_AUTH: off is accepted on loopback only, and SAYSO_HOST is {settings.host}; see docs/settings.md"
        )
    return settings


def parse_json_setting(name: str, text: str, kind: type[T]) -> T:
    """Read a setting whose value is JSON of this kind, where it is used. Raises SettingsError with one line that names the place."""
    try:
        value = TypeAdapter(kind).validate_json(text)
        read_json(text)
    except JsonRefused as error:
        raise SettingsError(f"{name}: {error}") from None
    except ValidationError as error:
        first, *_ = faults_of(error, kind)
        raise SettingsError(f"{name}: {first.path}{': ' if first.path else ''}{first.message}") from None
    return value


def exit_with(error: SettingsError) -> NoReturn:
    """End the process with the error's one line."""
    raise SystemExit(f"sayso: {error}")


def setting_names() -> list[str]:
    """Return the name of every setting, as it stands in the environment."""
    return [str(field.alias or name.upper()) for name, field in Settings.model_fields.items()]


def doubts() -> list[str]:
    """Return one line for each name in the environment or `.env` that is probably a setting's, misspelt."""
    return list(doubtful_names(_given_names(), setting_names()))


def _given_names() -> set[str]:
    try:
        return {*os.environ, *dotenv_values(ENV_FILE, encoding=_ENCODING)}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{ENV_FILE}: cannot be read: {error}") from None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # a name, which resolves to who knows what
        return False
