"""The glossary names every kind of message that exists, once, and no other."""

from __future__ import annotations

import re
from collections import Counter
from typing import get_args

import pytest

from contracts.providers.call_stream import AnyStop, PartialOutput
from contracts.providers.orders import Order
from contracts.runs.commands import AnyCommand
from contracts.runs.events import EVENT_KINDS
from contracts.runs.outcomes import Outcome
from testkit.readme import DOCS, rows

CONCEPTS = DOCS / "concepts.md"
KIND = re.compile(r"`([a-z]+(?:-[a-z]+)*\.v\d+)`")


def _kinds_of(union: object) -> list[str]:
    return [model.model_fields["kind"].default for model in get_args(union)]


KINDS = {
    "Events": list(EVENT_KINDS),
    "Commands": _kinds_of(AnyCommand),
    "Orders": _kinds_of(Order),
    "Outcomes": _kinds_of(Outcome),
    "Notices": ["child-ended.v1"],
    "While a call runs": _kinds_of(PartialOutput | AnyStop),
}


@pytest.mark.parametrize("section", KINDS)
def test_a_section_has_a_row_for_each_of_its_kinds(section: str) -> None:
    """A kind without a row, and a row without a kind, are named: write the row in docs/concepts.md."""
    explained = Counter(kind for row in rows(CONCEPTS, section) for kind in KIND.findall(row[0]))
    existing = Counter(KINDS[section])
    missing, surplus = sorted(existing - explained), sorted(explained - existing)
    assert (missing, surplus) == ([], []), f"docs/concepts.md, {section}: add rows for {missing}, remove {surplus}"


def test_no_sentence_names_a_kind_that_does_not_exist() -> None:
    """Meanings refer to other kinds, which may be renamed by a new version."""
    existing = {kind for kinds in KINDS.values() for kind in kinds}
    assert sorted(set(KIND.findall(CONCEPTS.read_text())) - existing) == []


def test_every_row_says_what_it_means() -> None:
    """No cell of any table is empty."""
    sections = re.findall(r"^#{2,3} (.+)$", CONCEPTS.read_text(), re.MULTILINE)
    empty = [row[0] for section in sections for row in rows(CONCEPTS, section) if not all(row)]
    assert empty == []
