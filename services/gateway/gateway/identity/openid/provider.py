"""The OpenID Connect provider over HTTP: its documents, and the exchange of a code for who comes.

Nothing is asked before a person signs in: a provider that does not answer keeps no gateway from its start.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2
from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuthError
from joserfc.jwk import KeySet
from pydantic import ValidationError

from chassis.http.access.origins import is_loopback
from contracts.addresses.links import host_name
from contracts.message import Message
from gateway.identity.openid.bounded_transport import BoundedTransport
from gateway.identity.openid.errors import ProviderUnavailable, SignInRefused
from gateway.identity.openid.fetched import Fetched
from gateway.identity.openid.flow import Flow
from gateway.identity.openid.id_token import UnknownKey, read_key_set, verified_claims
from gateway.identity.openid.rules import OpenIdRules

ANSWER_SECONDS = 8.0
"""How long the provider may take for one answer, from the connection to its last byte."""

_DISCOVERY = "/.well-known/openid-configuration"


class Metadata(Message):
    """What the provider's discovery document says (OpenID Connect Discovery 1.0, section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class OpenIdProvider:
    """One provider. `now` judges its tokens, `clock` the age of its documents."""

    def __init__(
        self, rules: OpenIdRules, now: Callable[[], datetime], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rules = rules
        self._now = now
        self._metadata = Fetched(self._fetch_metadata, clock)
        self._keys = Fetched(self._fetch_keys, clock)

    async def address_for(self, flow: Flow) -> str:
        """Return where the browser goes to sign in. Raises ProviderUnavailable."""
        metadata = await self._metadata.get()
        async with self._client(metadata, flow) as client:
            address, _ = client.create_authorization_url(
                metadata.authorization_endpoint, state=flow.state, nonce=flow.nonce, code_verifier=flow.verifier
            )
        return str(address)

    async def claims_for(self, code: str, flow: Flow) -> dict[str, Any]:
        """Return the verified claims of who signed in, for the code of a flow. Raises SignInRefused, ProviderUnavailable."""
        metadata = await self._metadata.get()
        async with self._client(metadata, flow) as client:
            answer = await _fetch_token(client, metadata.token_endpoint, code, flow.verifier)
        facts = self.rules, flow.nonce, answer.get("access_token"), self._now()
        try:
            return verified_claims(answer.get("id_token"), await self._keys.get(), *facts)
        except UnknownKey:
            return verified_claims(answer.get("id_token"), await self._keys.renewed(), *facts)

    def _client(self, metadata: Metadata, flow: Flow) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            self.rules.client_id,
            self.rules.client_secret,
            token_endpoint_auth_method=self._auth_method(metadata),
            scope=self.rules.scopes,
            redirect_uri=flow.redirect_uri,
            code_challenge_method="S256",
            transport=BoundedTransport(),
            timeout=ANSWER_SECONDS,
            trust_env=False,
        )

    def _auth_method(self, metadata: Metadata) -> str:
        if self.rules.client_secret is None:
            return "none"
        for method in ("client_secret_basic", "client_secret_post"):
            if method in metadata.token_endpoint_auth_methods_supported:
                return method
        raise ProviderUnavailable("its token endpoint takes no client secret")

    async def _fetch_metadata(self) -> Metadata:
        text = await _fetch(self.rules.issuer.rstrip("/") + _DISCOVERY)
        try:
            metadata = Metadata.model_validate_json(text)
        except ValidationError:
            raise ProviderUnavailable("its discovery document is malformed") from None
        if metadata.issuer != self.rules.issuer:
            raise ProviderUnavailable(f"its discovery document is of the issuer {metadata.issuer[:200]!r}")
        for address in (metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri):
            _check_address(address)
        return metadata

    async def _fetch_keys(self) -> KeySet:
        return read_key_set(await _fetch((await self._metadata.get()).jwks_uri))


def _check_address(address: str) -> None:
    """Raise ProviderUnavailable for an address to which a code or a secret would travel without TLS."""
    try:
        parts = urlsplit(address)
        host = host_name(parts.hostname or "")
    except ValueError:
        parts, host = urlsplit(""), ""
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        raise ProviderUnavailable("its discovery document names an address that is not under https")


async def _fetch(address: str) -> bytes:
    async with (
        _answering(),
        httpx2.AsyncClient(transport=BoundedTransport(), timeout=ANSWER_SECONDS, trust_env=False) as client,
    ):
        response = await client.get(address, headers={"Accept": "application/json"})
        if response.status_code != httpx2.codes.OK:
            raise ProviderUnavailable(f"{urlsplit(address).path} answered {response.status_code}")
        return response.content


async def _fetch_token(client: AsyncOAuth2Client, address: str, code: str, verifier: str) -> dict[str, Any]:
    try:
        async with _answering():
            answer: dict[str, Any] = await client.fetch_token(
                address, grant_type="authorization_code", code=code, code_verifier=verifier
            )
            return answer
    except OAuthError as error:
        if error.error == "invalid_grant":
            raise SignInRefused(
                "The provider does not take this sign-in's code: it was used before, or is too old."
            ) from None
        raise ProviderUnavailable(f"its token endpoint answered {str(error.error)[:100]!r}") from None


@asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    """Bound the time of one answer. Raises ProviderUnavailable for every way in which none comes."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            yield
    except TimeoutError:
        raise ProviderUnavailable(f"no answer came within {ANSWER_SECONDS:g} s") from None
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, RecursionError) as error:
        raise ProviderUnavailable(str(error)[:200] or type(error).__name__) from error
