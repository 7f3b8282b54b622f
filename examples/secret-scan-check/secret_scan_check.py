"""A check that asks for a person where a key or a password is about to leave, or has come back."""

from collections.abc import Mapping
from typing import Any, Self

from detect_secrets.core.scan import scan_line
from detect_secrets.settings import transient_settings

from chassis.settings import Settings
from contracts.providers.signals import Finding
from provider_worker.checks.base import Check, Options, Subject, read_options
from provider_worker.checks.json_texts import joined

PLUGINS = (
    "AWSKeyDetector",
    "BasicAuthDetector",
    "GitHubTokenDetector",
    "JwtTokenDetector",
    "OpenAIDetector",
    "PrivateKeyDetector",
    "SlackDetector",
    "StripeDetector",
)


class SecretOptions(Options):
    """The options in SAYSO_CHECKS: `{"secrets": {"force": false}}`."""

    force: bool = True


class SecretScan(Check):
    """Keys and passwords."""

    name = "secrets"

    def __init__(self, *, force: bool) -> None:
        self._force = force

    @classmethod
    def from_settings(cls, settings: Settings, options: Mapping[str, Any]) -> Self:
        """Make the check; yours reads its key and its options here."""
        return cls(force=read_options(SecretOptions, cls.name, options).force)

    async def look(self, subject: Subject) -> Finding | None:
        """Find kinds of secrets in the texts, and never repeat the secrets."""
        with transient_settings({"plugins_used": [{"name": name} for name in PLUGINS]}):
            lines = joined(subject.looked_at).splitlines()
            kinds = sorted({secret.type for line in lines for secret in scan_line(line)})
        if not kinds:
            return None
        message = f"Looks like a secret: {', '.join(kinds)}."
        return Finding(
            check=self.name,
            code="secret_found",
            message=message,
            flags=("secret",),
            force=self._force,
            data={"kinds": kinds},
        )
