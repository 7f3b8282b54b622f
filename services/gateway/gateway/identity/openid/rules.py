"""What the settings say about the OpenID Connect provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from chassis.settings import Settings, SettingsError


@dataclass(frozen=True, slots=True)
class OpenIdRules:
    """One provider, what it calls this installation, and the claims that say who comes."""

    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    scopes: str = "openid profile email"
    roles_claim: str = "roles"
    groups_claim: str = "groups"
    tenant_claim: str = "tenant"

    @property
    def host(self) -> str:
        """The issuer's host, by which people know it."""
        return urlsplit(self.issuer).netloc


def open_id_rules(settings: Settings) -> OpenIdRules | None:
    """Return the rules, or None where no provider is named. Raises SettingsError, for rules that are not used too."""
    secret = settings.oidc_client_secret
    if settings.oidc_issuer is None:
        if settings.oidc_client_id is not None or secret is not None:
            raise SettingsError("SAYSO_OIDC_ISSUER: a client is named, and no provider that knows it")
        return None
    if settings.oidc_client_id is None:
        raise SettingsError("SAYSO_OIDC_CLIENT_ID: a provider knows each client by a name, and it is not given")
    if "openid" not in settings.oidc_scopes.split():
        raise SettingsError("SAYSO_OIDC_SCOPES: without the scope `openid` a provider does not say who comes")
    return OpenIdRules(
        settings.oidc_issuer,
        settings.oidc_client_id,
        None if secret is None else secret.get_secret_value(),
        settings.oidc_scopes,
        settings.oidc_roles_claim,
        settings.oidc_groups_claim,
        settings.oidc_tenant_claim,
    )
