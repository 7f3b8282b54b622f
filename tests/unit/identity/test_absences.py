"""Absences: who stands in for whom at a time, and which new one would lead in a circle."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.absences.chains import MOST_OF_PERSON, MOST_OF_SUBSTITUTE, MOST_OF_TENANT, check_bounds, check_new
from identity.absences.record import MOST_CHAIN, Absence, StandIns, stand_ins
from identity.errors import AbsenceOverlaps, SubstitutionCircle, TooManyAbsences

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def absent(person: str, substitute: str, begins: int = 0, ends: int = 7) -> Absence:
    """Return an absence from a day of March on and until before another."""
    return Absence(
        id=uuid4(),
        tenant="default",
        person=person,
        substitute=substitute,
        begins_at=MONDAY + timedelta(days=begins),
        ends_at=MONDAY + timedelta(days=ends),
        reason=None,
        created_at=MONDAY,
        created_by=person,
    )


def at(day: float) -> datetime:
    """Return a time of March."""
    return MONDAY + timedelta(days=day)


def test_a_substitute_stands_in_from_the_first_moment_until_before_the_last() -> None:
    """Half open, so that one absence can follow another."""
    rules = [absent("ann", "bo", 1, 2)]
    assert stand_ins(rules, at(0.99)) == {}
    assert stand_ins(rules, at(1)) == {"bo": ("ann",)}
    assert stand_ins(rules, at(2)) == {}


def test_a_chain_is_followed_to_who_is_there() -> None:
    """Who is absent stands in for none."""
    rules = [absent("ann", "bo"), absent("bo", "cy"), absent("di", "cy")]
    assert stand_ins(rules, at(1)) == {"cy": ("ann", "bo", "di")}


def test_a_circle_that_came_about_all_the_same_ends_with_none() -> None:
    """It neither hangs nor lets anyone act."""
    assert stand_ins([absent("ann", "bo"), absent("bo", "ann"), absent("cy", "ann")], at(1)) == {}


@pytest.mark.parametrize(
    ("new", "others"),
    [
        (absent("ann", "ann"), []),
        (absent("ann", "bo"), [absent("bo", "ann")]),
        (absent("ann", "bo"), [absent("bo", "cy"), absent("cy", "ann", 6, 9)]),
        (absent("ann", "bo", 0, 9), [absent("bo", "cy", 5, 9), absent("cy", "ann", 2, 7)]),
    ],
)
def test_a_circle_is_refused(new: Absence, others: list[Absence]) -> None:
    """However long the way, and however short the time at which it closes."""
    with pytest.raises(SubstitutionCircle):
        check_new(new, others)


@pytest.mark.parametrize(
    "others", [[absent("bo", "ann", 7, 9)], [absent("bo", "cy"), absent("cy", "ann", 7, 9)], [absent("bo", "cy")], []]
)
def test_what_is_no_circle_at_any_one_time_is_well(others: list[Absence]) -> None:
    """Two that follow each other close none."""
    check_new(absent("ann", "bo"), others)


def test_a_person_has_one_substitute_at_a_time() -> None:
    """One absence may begin as another ends."""
    check_new(absent("ann", "bo", 7, 9), [absent("ann", "cy", 0, 7)])
    with pytest.raises(AbsenceOverlaps):
        check_new(absent("ann", "bo", 6, 9), [absent("ann", "cy", 0, 7)])


def test_a_chain_has_an_end() -> None:
    """As many links as are followed, and no more, from whichever side it grows."""
    chain = [absent(f"p{n}", f"p{n + 1}") for n in range(MOST_CHAIN)]
    check_new(chain[-1], chain[:-1])
    check_new(chain[0], chain[1:])
    for new in (absent(f"p{MOST_CHAIN}", "z"), absent("a", "p0")):
        with pytest.raises(SubstitutionCircle):
            check_new(new, chain)


def test_a_chain_is_as_long_as_it_is_at_one_time() -> None:
    """What led to it before, and what leads on later, do not add up."""
    before = [absent(f"p{n}", f"p{n + 1}", 0, 3) for n in range(5)]
    behind = [absent(f"p{n}", f"p{n + 1}", 3, 7) for n in range(6, 11)]
    check_new(absent("p5", "p6"), [*before, *behind])
    late = [absent(f"p{n}", f"p{n + 1}", 2, 7) for n in range(6, 11)]
    with pytest.raises(SubstitutionCircle):
        check_new(absent("p5", "p6"), [*before, *late])
    check_new(absent("p5", "p6"), [*before, *late[:-1]])


def test_absences_to_come_are_bounded() -> None:
    """A person's, and a tenant's."""
    check_bounds(MOST_OF_PERSON - 1, MOST_OF_TENANT - 1)
    for counts in ((MOST_OF_PERSON, MOST_OF_PERSON), (0, MOST_OF_TENANT)):
        with pytest.raises(TooManyAbsences):
            check_bounds(*counts)


def test_a_substitute_stands_in_for_so_many_and_no_more() -> None:
    """Its decisions name them all."""
    crowd = [absent(f"p{n}", "bo") for n in range(MOST_OF_SUBSTITUTE)]
    check_new(crowd[0], crowd[1:])
    with pytest.raises(TooManyAbsences, match="bo would stand in for more than 100 persons at one time"):
        check_new(absent("ann", "bo"), crowd)


def test_those_of_chains_count_for_who_is_there_at_their_end() -> None:
    """From whichever side it grows, and where several come together."""
    half = MOST_OF_SUBSTITUTE // 2
    left, right = ([absent(f"{side}{n}", side) for n in range(half)] for side in ("ann", "bo"))
    with pytest.raises(TooManyAbsences):
        check_new(absent("ann", "bo"), [*left, *right])
    with pytest.raises(TooManyAbsences):
        check_new(absent("bo", "cy"), [*left, *right, absent("ann", "cy")])
    with pytest.raises(TooManyAbsences, match="cy would"):
        check_new(absent("ann", "bo"), [*left, *right[:-1], absent("bo", "cy")])
    check_new(absent("ann", "bo"), [*left, *right[:-1]])
    check_new(absent("ann", "bo"), [*left, *right[:-2], absent("bo", "cy")])


def test_those_who_are_absent_at_other_times_do_not_add_up() -> None:
    """One may stand in for others each week."""
    crowd = [absent(f"p{n}", "bo", n % 2, n % 2 + 1) for n in range(2 * MOST_OF_SUBSTITUTE - 1)]
    check_new(absent("ann", "bo", 1, 2), crowd)
    check_new(absent("ann", "bo", 2, 9), crowd)
    with pytest.raises(TooManyAbsences):
        check_new(absent("ann", "bo", 0, 1), crowd)
    check_new(absent("ann", "bo", 0, 2), [*crowd[2:], absent("bo", "cy", 1, 9)])
    with pytest.raises(TooManyAbsences, match="cy would"):
        check_new(absent("ann", "bo", 0, 2), [*crowd[1:], absent("bo", "cy", 1, 9)])


class Watched(Absence):
    """Counts how often members of absences are read."""

    reads = 0

    def __getattribute__(self, name: str) -> object:
        Watched.reads += 1
        return super().__getattribute__(name)


def looks(known: list[Absence], new: Absence) -> int:
    """Return how often a member of an absence is read while a new one is judged."""
    watched = [Watched(**asdict(one)) for one in known]
    Watched.reads = 0
    with suppress(TooManyAbsences):
        check_new(new, watched)
    return Watched.reads


def test_who_stands_in_is_worked_out_once_until_an_absence_begins_or_ends() -> None:
    """However many ask; a clock that is set back asks anew."""
    known = StandIns([Watched(**asdict(one)) for one in (absent("ann", "bo", 1, 3), absent("di", "bo", 2, 9))])
    told, reads = [], []
    for day in (1.5, 1.6, 1.99, 2, 2.5, 3, 4, 8.9, 9, 20, 1, 1.5, 0.5, 0.1):
        Watched.reads = 0
        told.append(known.at(at(day)).get("bo", ()))
        reads.append(Watched.reads > 0)
    ann, both, di = ("ann",), ("ann", "di"), ("di",)
    assert told == [ann, ann, ann, both, both, di, di, di, (), (), ann, ann, (), ()]
    first = [True, False, False, True, False, True, False, False, True, False, True, False, True, False]
    assert reads == first


@pytest.mark.parametrize("shape", ["into one", "pairs", "chains"])
def test_the_work_of_a_new_absence_grows_as_their_number(shape: str) -> None:
    """Ten times as many absences are looked at ten times as often, and not a hundred times."""

    def known(count: int) -> list[Absence]:
        match shape:
            case "into one":
                return [absent(f"p{n}", "ann", n % 7, n % 7 + 5) for n in range(count)]
            case "pairs":
                return [absent(f"p{n}", f"q{n}", n % 7, n % 7 + 5) for n in range(count)]
            case _:
                return [absent(f"p{n} {n % 9}", f"p{n} {n % 9 + 1}" if n % 9 < 8 else "ann") for n in range(count)]

    new = absent("ann", "bo", 1, 6)
    assert looks(known(1000), new) < 15 * looks(known(100), new)


PEOPLE = st.sampled_from("abcdef")
SPANS = st.tuples(st.integers(0, 9), st.integers(1, 5))


@given(st.lists(st.tuples(PEOPLE, PEOPLE, SPANS), max_size=12), st.floats(0, 15))
def test_what_is_let_in_never_closes_a_circle(asked: list[tuple[str, str, tuple[int, int]]], day: float) -> None:
    """At every time each absent person has one who is there, and stands in for none."""
    kept: list[Absence] = []
    for person, substitute, (begins, days) in asked:
        new = absent(person, substitute, begins, begins + days)
        try:
            check_new(new, kept)
        except (AbsenceOverlaps, SubstitutionCircle):
            continue
        kept.append(new)
    gone = {one.person for one in kept if one.begins_at <= at(day) < one.ends_at}
    found = stand_ins(kept, at(day))
    assert sorted(person for persons in found.values() for person in persons) == sorted(gone)
    assert gone.isdisjoint(found)
