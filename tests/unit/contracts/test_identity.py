"""What a principal may do: both its roles and its scopes say so, and it hands on no more."""

from __future__ import annotations

from itertools import product

import pytest

from contracts.identity import PHRASES, ROLES, Principal, Right, Role

SOME = (Right.MANAGE_KEYS, Right.READ)


def principal(*roles: Role, scopes: tuple[str, ...] = ()) -> Principal:
    """Return a principal of one tenant."""
    return Principal(tenant="acme", subject="ann", roles=roles, scopes=scopes, credential="key:1")


def test_every_right_has_its_roles_and_its_words() -> None:
    """A right that a table does not know would be refused to all, or not be told of."""
    assert set(ROLES) == set(PHRASES) == set(Right)


@pytest.mark.parametrize(("role", "right"), [*product(Role, Right)])
def test_a_scope_adds_nothing_to_what_roles_allow(role: Role, right: Right) -> None:
    """It takes away: what it does not name is not allowed."""
    by_role = principal(role).may(right)
    assert by_role is (role in ROLES[right])
    assert principal(role, scopes=(right,)).may(right) is by_role
    assert not principal(role, scopes=tuple(one for one in Right if one is not right)).may(right)


def test_a_scope_of_a_newer_version_allows_nothing() -> None:
    """And is no reason to allow everything; a reader of an older version understands the message."""
    newer = Principal.model_validate_json(principal(Role.ADMIN, scopes=("moons:land",)).model_dump_json())
    assert not any(newer.may(right) for right in Right)


def test_without_scopes_there_is_no_member() -> None:
    """Neither a byte more in each command and event."""
    assert b"scopes" not in principal(Role.ADMIN).model_dump_json().encode()


@pytest.mark.parametrize(
    ("maker", "roles", "scopes", "may"),
    [
        (principal(Role.ADMIN), (Role.ADMIN,), (), True),
        (principal(Role.ADMIN), (Role.REVIEWER, Role.AUDITOR), SOME, True),
        (principal(Role.ADMIN, scopes=SOME), (Role.ADMIN,), SOME, True),
        (principal(Role.ADMIN, scopes=SOME), (Role.REVIEWER,), (Right.READ,), True),
        (principal(Role.ADMIN, scopes=SOME), (Role.REVIEWER,), (), False),
        (principal(Role.ADMIN, scopes=SOME), (Role.REVIEWER,), (*SOME, Right.DECIDE), False),
        (principal(Role.REVIEWER), (Role.REVIEWER,), (), True),
        (principal(Role.REVIEWER), (Role.ADMIN,), (Right.READ,), False),
        (principal(Role.REVIEWER), (), (), True),
    ],
)
def test_what_is_handed_on_is_ones_own(
    maker: Principal, roles: tuple[Role, ...], scopes: tuple[str, ...], *, may: bool
) -> None:
    """What has no scopes is not narrower than what has some."""
    assert maker.may_grant(roles, scopes) is may


def test_a_refusal_says_what_decided() -> None:
    """The right in words, the roles, and the scopes where there are some."""
    assert principal().refusal(Right.DECIDE) == "ann may not decide; its roles: none"
    told = principal(Role.ADMIN, scopes=SOME).refusal(Right.CANCEL, "that it did not start")
    assert (
        told == "ann may not cancel a run that it did not start; its roles: admin; its scopes: keys:manage, runs:read"
    )
