"""The page of who acts says what the tables of the code say."""

from __future__ import annotations

from contracts.identity import ROLES, Right, Role
from gateway.identity.route_rights import ROUTE_RIGHTS
from testkit.readme import DOCS, rows

PAGE = DOCS / "identity.md"


def test_the_page_has_every_right_with_its_roles() -> None:
    """A requester's rights over its own runs are said so."""
    shown = {
        right: {role for role, cell in zip(Role, cells, strict=True) if cell} for right, *cells in rows(PAGE, "Roles")
    }
    assert shown == {right.value: set(roles) for right, roles in ROLES.items()}
    own = {right for right, requester, *_ in rows(PAGE, "Roles") if requester == "its own"}
    assert own == {Right.READ.value, Right.COMMENT.value, Right.CANCEL.value}


def test_the_page_has_every_route_with_its_right() -> None:
    """In the order of the table."""
    shown = [(method, path.strip("`"), right) for method, path, right in rows(PAGE, "The routes")]
    assert shown == [(method, path, right.value) for (method, path), right in ROUTE_RIGHTS.items()]
