"""The page of who acts says what the tables of the code say; `python -m testkit.matrix` prints its tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from identity.errors import Code
from testkit import matrix
from testkit.readme import DOCS, rows

PAGE = DOCS / "identity.md"


@pytest.mark.parametrize("table", [matrix.rights, matrix.routes, matrix.messages])
def test_the_page_has_the_matrix(table: Callable[[], str]) -> None:
    """Each right, each route and each message of a socket, for each role."""
    assert f"\n\n{table()}\n\n" in PAGE.read_text()


def test_the_page_has_every_reason_of_a_refused_credential() -> None:
    """Clients tell them apart."""
    shown = {reason.strip("`") for reasons, _ in rows(PAGE, "What is refused") for reason in reasons.split(", ")}
    assert shown == set(get_args(Code))
