"""How a client begins: as often as it takes until the read model and the ring meet, but not forever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from notifier.edges.catch_up import PAUSES, begin
from notifier.hub.client import Filters
from notifier.hub.hub import Hub, Overtaken
from testkit.runs.pushed_events import Talker, Watched, events_in, hub_of

ANN = Watched()


@dataclass
class Seen:
    """What the read model showed."""

    versions: Mapping[str, int] = field(default_factory=dict)
    truncated: bool = False


class ReadModel:
    """Shows one answer after the other, the last one again and again; the log moves on while it is asked."""

    def __init__(self, talker: Talker, *answers: Seen, meanwhile: int = 0) -> None:
        self.asked = 0
        self._talker = talker
        self._answers = answers
        self._meanwhile = meanwhile

    async def look(self) -> Seen:
        """Show how things stand."""
        self.asked += 1
        self._talker.publish(ANN, times=self._meanwhile)
        return self._answers[min(self.asked, len(self._answers)) - 1]


def far(hub: Hub) -> Talker:
    """Return a talker that is five versions ahead of a hub that holds two."""
    talker = Talker(hub)
    talker.publish(ANN, times=5)
    return talker


async def test_the_read_model_is_asked_again_until_it_has_come_far_enough() -> None:
    """A client is served a moment later rather than with a hole in its story."""
    hub = hub_of(ring_count=2)
    model = ReadModel(far(hub), Seen({ANN.run_id: 1}), Seen({ANN.run_id: 4}))
    begun = await begin(hub, Filters(), lambda: None, model.look)
    assert model.asked == 2
    assert begun.look.versions == {ANN.run_id: 4}
    assert [one.version for one in events_in(begun.client.take())] == [5]


async def test_one_run_with_a_hole_does_not_keep_all_others_from_a_client() -> None:
    """Records can be lost for good; after some tries it gets what there is."""
    hub = hub_of(ring_count=2)
    model = ReadModel(far(hub), Seen({ANN.run_id: 1}))
    begun = await begin(hub, Filters(), lambda: None, model.look)
    assert model.asked == len(PAUSES)
    assert [one.version for one in events_in(begun.client.take())] == [4, 5]


async def test_a_truncated_look_is_taken_as_it_is() -> None:
    """What it leaves out is no hole."""
    hub = hub_of(ring_count=2)
    model = ReadModel(far(hub), Seen(truncated=True))
    await begin(hub, Filters(), lambda: None, model.look)
    assert model.asked == 1


async def test_a_client_that_is_overtaken_every_time_is_told_so() -> None:
    """More happens while it looks than the ring holds."""
    hub = hub_of(ring_count=2)
    model = ReadModel(far(hub), Seen({ANN.run_id: 1}), meanwhile=3)
    with pytest.raises(Overtaken):
        await begin(hub, Filters(), lambda: None, model.look)


async def test_a_run_that_is_asked_for_by_its_id_is_told_though_it_is_over() -> None:
    """Nothing of it was shown, and everything of it is here."""
    hub = hub_of()
    talker = Talker(hub)
    talker.publish(ANN)
    talker.publish(ANN, over=True)
    begun = await begin(hub, Filters(run_id=ANN.run_id), lambda: None, ReadModel(talker, Seen()).look)
    assert [one.version for one in events_in(begun.client.take())] == [1, 2]
