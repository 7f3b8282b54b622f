"""Whether a new absence can stand beside a tenant's others: their number, one substitute at a time, no circle, no chain too long. Pure.

A substitute names those for whom it stands in with each thing it does, so that their number at one time is bounded too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from operator import itemgetter

from identity.absences.record import MOST_CHAIN, Absence, Substitution
from identity.errors import AbsenceOverlaps, SubstitutionCircle, TooManyAbsences

MOST_OF_PERSON = 50
MOST_OF_TENANT = 10_000
"""Absences that have not ended."""

MOST_OF_SUBSTITUTE = 100
"""Persons for whom one stands in at one time, by chains too."""

_Span = tuple[datetime, datetime]
"""From a time on until before another."""

_Known = Mapping[str, Sequence[Substitution]]


def check_bounds(of_person: int, of_tenant: int) -> None:
    """Return if a person and a tenant with so many absences that have not ended may have another. Raises TooManyAbsences."""
    if of_person >= MOST_OF_PERSON:
        raise TooManyAbsences(f"a person has at most {MOST_OF_PERSON} absences that have not ended")
    if of_tenant >= MOST_OF_TENANT:
        raise TooManyAbsences(f"a tenant has at most {MOST_OF_TENANT:,} absences that have not ended")


def check_new(new: Absence, others: Iterable[Substitution]) -> None:
    """Return if a new absence can stand beside the others of its tenant. Raises AbsenceOverlaps, SubstitutionCircle, TooManyAbsences.

    Of the others only those count that lie on a chain to its person or from its substitute.
    """
    known = [other for other in others if new.overlaps(other)]
    for other in known:
        if other.person == new.person:
            raise AbsenceOverlaps(other.begins_at, other.ends_at)
    by_substitute, by_person = _by(known, "substitute"), _by(known, "person")
    led_to = _led_to(new, by_substitute)
    for span, chain in _chains_from(new, by_person):
        most_before = MOST_CHAIN - (len(chain) - 1)
        is_too_long = most_before < 0 or (most_before < len(led_to) and any(_clipped(span, led_to[most_before])))
        if is_too_long or chain[-1] == new.person:
            raise SubstitutionCircle(chain)
    with_new = _by([*known, new], "substitute")
    for span, chain in _chains_from(new, by_person):
        if _most_behind(chain[-1], span, with_new) > MOST_OF_SUBSTITUTE:
            raise TooManyAbsences(f"{chain[-1]} would stand in for more than {MOST_OF_SUBSTITUTE} persons at one time")


def _most_behind(substitute: str, span: _Span, by_substitute: _Known) -> int:
    """Return from how many persons chains lead to a substitute at one time, at most, within a span in which they close no circle."""
    changes: list[tuple[datetime, int]] = []
    found = [(substitute, span)]
    while found:
        reached, within = found.pop()
        for other in by_substitute.get(reached, ()):
            for begins, ends in _clipped((other.begins_at, other.ends_at), [within]):
                changes += [(begins, 1), (ends, -1)]
                found.append((other.person, (begins, ends)))
    return max(accumulate(change for _, change in sorted(changes)), default=0)


def _chains_from(new: Absence, by_person: _Known) -> Iterator[tuple[_Span, tuple[str, ...]]]:
    """Yield each chain that begins with a new absence, and when it is there, without end where it is a circle.

    The spans of the chains of one length are disjoint, so that the absences on them bound their number.
    """
    found: list[tuple[_Span, tuple[str, ...]]] = [((new.begins_at, new.ends_at), (new.person, new.substitute))]
    while found:
        span, chain = found.pop()
        yield span, chain
        for other in by_person.get(chain[-1], ()):
            found += [(both, (*chain, other.substitute)) for both in _clipped((other.begins_at, other.ends_at), [span])]


def _led_to(new: Absence, by_substitute: _Known) -> list[list[_Span]]:
    """Return when chains of one link, of two and so on lead to the person of a new absence, up to one link too many."""
    into = _reaching(new.person, by_substitute)
    whole = [(new.begins_at, new.ends_at)]
    level: dict[str, list[_Span]] = {other.person: whole for others in into.values() for other in others}
    found: list[list[_Span]] = []
    while len(found) < MOST_CHAIN:
        level = {
            substitute: _union(
                both
                for other in others
                for both in _clipped((other.begins_at, other.ends_at), level.get(other.person, ()))
            )
            for substitute, others in into.items()
        }
        if not level.get(new.person):
            break
        found.append(level[new.person])
    return found


def _reaching(person: str, by_substitute: _Known) -> _Known:
    """Return, by their substitutes, the absences on chains to a person."""
    into: dict[str, Sequence[Substitution]] = {}
    reached = [person]
    while reached:
        at = reached.pop()
        if at not in into:
            into[at] = by_substitute.get(at, ())
            reached += [other.person for other in into[at]]
    return into


def _clipped(span: _Span, spans: Sequence[_Span]) -> Iterator[_Span]:
    """Yield what one span has in common with disjoint ones, which are in order."""
    begins, ends = span
    for at in range(bisect_right(spans, begins, key=itemgetter(1)), len(spans)):
        if spans[at][0] >= ends:
            return
        yield max(begins, spans[at][0]), min(ends, spans[at][1])


def _union(spans: Iterable[_Span]) -> list[_Span]:
    """Return the times of any of the spans, disjoint and in order."""
    found: list[_Span] = []
    for begins, ends in sorted(spans):
        if found and begins <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], ends)
        else:
            found.append((begins, ends))
    return found


def _by(absences: Iterable[Substitution], member: str) -> _Known:
    found: defaultdict[str, list[Substitution]] = defaultdict(list)
    for absence in absences:
        found[getattr(absence, member)].append(absence)
    return found
