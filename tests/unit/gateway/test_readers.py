"""Who may read a run, by role: the one rule that every read asks."""

from __future__ import annotations

import pytest

from contracts.identity import Principal, Role
from contracts.runs.tasks.readers import ALL, reader_of
from testkit.runs.people import ADAM, ANN, AUDREY, BO, GUEST, RITA, RITAS_BOT, principal

ENTRIES = {
    "every reviewer's": ALL,
    "ann's": ("u:ann",),
    "legal's": ("g:legal",),
    "named like a group": ("u:legal", "g:ann"),
    "nobody's": (),
}
READS: list[tuple[Principal | None, set[str]]] = [
    (ANN, {"every reviewer's", "ann's"}),
    (BO, {"every reviewer's", "legal's"}),
    (principal("cy", Role.REVIEWER, on_behalf_of=("ann",)), {"every reviewer's", "ann's"}),
    (principal("bot", Role.REVIEWER, kind="service", owner="ann"), {"every reviewer's", "ann's"}),
    (principal("ann", Role.REQUESTER, groups=("legal",)), set()),
    (GUEST, set()),
    *((who, set(ENTRIES)) for who in (None, ADAM, AUDREY)),
]


@pytest.mark.parametrize(("who", "reads"), READS, ids=lambda each: each.subject if isinstance(each, Principal) else "")
def test_a_reviewer_reads_what_it_is_asked_for(who: Principal | None, reads: set[str]) -> None:
    """By name, by group, and for whom it stands in; administrators and auditors read everything, others nothing of another's."""
    reader = reader_of(who)
    found = {name for name, entries in ENTRIES.items() if reader is None or reader.may_read(entries, "rita")}
    assert found == reads


@pytest.mark.parametrize("who", [RITA, RITAS_BOT, principal("rita", Role.REQUESTER, Role.REVIEWER)])
def test_a_requester_reads_its_own(who: Principal) -> None:
    """By person: a service's runs are its owner's too. A run that no person started is nobody's own."""
    reader = reader_of(who)
    assert reader is not None
    assert reader.may_read((), "rita")
    assert not reader.may_read((), "robert")
    assert not reader.may_read((), None)


def test_who_only_reviews_has_no_runs_of_its_own() -> None:
    """That it started one before, under another role, gives no right to it now."""
    reader = reader_of(ANN)
    assert reader is not None
    assert not reader.may_read((), "ann")
