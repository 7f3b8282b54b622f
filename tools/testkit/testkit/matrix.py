"""Who may do what, as the tables of docs/identity.md: `python -m testkit.matrix` prints them as they should be."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import get_args

from contracts.identity import PHRASES, ROLES, Right, Role
from gateway.identity.route_rights import ROUTE_RIGHTS
from notifier.protocol.messages import FROM_CLIENT

OWN = {(Role.REQUESTER, right) for right in (Right.READ, Right.COMMENT, Right.CANCEL)}
"""What a role has over the runs that its person started, and over no others."""

_OF_NO_RUN = ("/hitl/artifacts",)
"""Routes for which a right to runs is needed, and that show none."""


def rights() -> str:
    """Return the table of rights: each in words, with the roles that have it."""
    return _table(("right", "to"), ((f"`{right}`", PHRASES[right], *_cells(right, OWN)) for right in Right))


def routes() -> str:
    """Return the table of routes, each with its right and the roles that have it."""
    return _table(
        ("method", "path", "right"),
        (
            (method, f"`{path}`", f"`{right}`", *_cells(right, set() if path.startswith(_OF_NO_RUN) else OWN))
            for (method, path), right in ROUTE_RIGHTS.items()
        ),
    )


def messages() -> str:
    """Return the table of the messages of a socket's client, each with its right and the roles that have it."""
    types = ((get_args(message.model_fields["type"].annotation)[0], right) for message, right in FROM_CLIENT.items())
    return _table(("message", "right"), ((f"`{kind}`", f"`{right}`", *_cells(right, set())) for kind, right in types))


def _cells(right: Right, own: Container[tuple[Role, Right]]) -> list[str]:
    return ["" if role not in ROLES[right] else "its own" if (role, right) in own else "yes" for role in Role]


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    named = (*head, *(role.value for role in Role))
    rows = ["|".join(f" {cell} " if cell else " " for cell in cells) for cells in (named, *lines)]
    return "\n".join(f"|{row}|" for row in (rows[0], "|".join(["---"] * len(named)), *rows[1:]))


if __name__ == "__main__":
    print(rights(), routes(), messages(), sep="\n\n")
