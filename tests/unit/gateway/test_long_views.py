"""Views of long histories are kept, within bytes, and never another tenant's."""

from __future__ import annotations

from uuid import uuid4

from contracts.runs.views import RunView
from gateway.projection.long_views import LONG, LongViews
from testkit.runs.commands import at_payload_review
from testkit.runs.histories import history_of, view_of


def view(version: int = LONG) -> RunView:
    """Return the view of a run at a version."""
    return view_of(history_of(at_payload_review(), uuid4())).changed({"version": version})


def test_a_view_is_kept_for_its_tenant() -> None:
    """A short one is not kept: to fold it again costs little."""
    views, long, short = LongViews(), view(), view(LONG - 1)
    for each in (long, short):
        views.keep("acme", each, 1000)
    assert (views.get("acme", long.run_id), views.get("globex", long.run_id)) == (long, None)
    assert views.get("acme", short.run_id) is None


def test_what_was_not_asked_for_longest_goes_first() -> None:
    """All views together have a bound in bytes; a run that moved on is counted once."""
    views, several = LongViews(most=3000), [view() for _ in range(4)]
    for each in (*several[:3], several[0], several[3]):
        views.keep("acme", each, 1000)
    assert [views.get("acme", each.run_id) is not None for each in several] == [True, False, True, True]
    views.get("acme", several[2].run_id)
    views.keep("acme", view(), 2000)
    assert [views.get("acme", each.run_id) is not None for each in several] == [False, False, True, False]
