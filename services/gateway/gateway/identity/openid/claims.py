"""From the claims of an ID token to a principal. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError

from contracts.identity import Principal, Role
from contracts.message import Identifier
from gateway.http.caller import TRUSTED
from gateway.identity.openid.errors import SignInRefused
from gateway.identity.openid.rules import OpenIdRules

MOST_GROUPS = 200
"""A principal travels in each command and event."""

_NAME: TypeAdapter[str] = TypeAdapter(Identifier)
_ROLES = {role.value: role for role in Role}


def principal_of(claims: dict[str, Any], rules: OpenIdRules) -> Principal:
    """Return who comes with these claims. Roles that are none of ours give no right. Raises SignInRefused for what is malformed."""
    groups = _names(claims, rules.groups_claim)
    if len(groups) > MOST_GROUPS:
        raise SignInRefused(f"The provider names {len(groups)} groups, and {MOST_GROUPS} at most are taken.")
    tenant = _found(claims, rules.tenant_claim)
    shown = claims.get("name")
    return Principal(
        tenant=TRUSTED.tenant if tenant is None else _name(tenant, rules.tenant_claim),
        subject=_name(claims.get("sub"), "sub"),
        name=shown if _is_name(shown) else None,
        roles=tuple(dict.fromkeys(_ROLES[name] for name in _names(claims, rules.roles_claim) if name in _ROLES)),
        groups=tuple(dict.fromkeys(_name(group, rules.groups_claim) for group in groups)),
        credential="oidc",
    )


def _found(claims: dict[str, Any], path: str) -> Any:
    """Return a claim of this name, or the member that the path leads to: providers nest what is their own."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _names(claims: dict[str, Any], path: str) -> list[Any]:
    match _found(claims, path):
        case None:
            return []
        case str() as one:
            return [one]
        case list() as several if all(isinstance(one, str) for one in several):
            return several
        case _:
            raise _malformed(path)


def _name(value: Any, claim: str) -> str:
    if not _is_name(value):
        raise _malformed(claim)
    return str(value)


def _is_name(value: Any) -> bool:
    try:
        _NAME.validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


def _malformed(claim: str) -> SignInRefused:
    return SignInRefused(f"The provider's claim `{claim}` is missing or malformed.")
