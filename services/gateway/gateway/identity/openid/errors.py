"""Why a sign-in did not come to its end. The messages are fit for the page."""

from __future__ import annotations

from gateway.errors import GatewayError


class SignInRefused(GatewayError):
    """The sign-in is refused, and may be begun again."""


class ProviderUnavailable(GatewayError):
    """The identity provider does not answer, or not as it should. The message is for the log."""
