"""The cache of views that lists showed: right at its version, and bounded."""

from __future__ import annotations

from uuid import UUID

from gateway.projection.listed_views import MOST_OF_ONE, ListedViews

RUN, OTHER = UUID(int=1), UUID(int=2)


def test_a_view_is_found_at_its_version_alone() -> None:
    """A run that moved on is folded again, and the new view takes the former one's place."""
    views = ListedViews()
    views.keep(RUN, 3, b"three")
    assert (views.get(RUN, 3), views.get(RUN, 4), views.get(OTHER, 3)) == (b"three", None, None)
    views.keep(RUN, 4, b"four")
    assert (views.get(RUN, 3), views.get(RUN, 4)) == (None, b"four")


def test_what_was_not_asked_for_longest_goes_first() -> None:
    """By bytes, and not by number."""
    views = ListedViews(most=10)
    views.keep(RUN, 1, b"x" * 5)
    views.keep(OTHER, 1, b"y" * 5)
    assert views.get(RUN, 1) is not None
    views.keep(UUID(int=3), 1, b"z" * 4)
    assert (views.get(RUN, 1), views.get(OTHER, 1)) == (b"x" * 5, None)


def test_a_view_that_is_too_large_is_not_kept() -> None:
    """It would take the place of many."""
    views = ListedViews()
    views.keep(RUN, 1, b"x" * (MOST_OF_ONE + 1))
    assert views.get(RUN, 1) is None
    small = ListedViews(most=10)
    small.keep(RUN, 1, b"x" * 11)
    assert small.get(RUN, 1) is None
