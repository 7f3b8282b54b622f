"""A prediction's output while it grows: text, each piece once, and no address however it is cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_worker.providers.progress import Progress
from provider_worker.providers.replicate.hosts import HIDDEN, AddressFilter
from provider_worker.providers.replicate.stream import OutputListener

OWN = "http://127.0.0.1:9102"
ADDRESS = "https://replicate.delivery/x/out.png"


class _Ear:
    """Hears a prediction whose model's lists are text, or are not."""

    def __init__(self, *, is_text: bool = True) -> None:
        self.heard: list[str] = []
        self.asked = 0
        self._is_text = is_text
        self._listening = OutputListener(self._say, Progress(self.heard.append), AddressFilter(OWN))

    async def _say(self) -> bool:
        self.asked += 1
        return self._is_text

    async def hear(self, output: Any, status: str = "processing") -> str:
        """Return all that was said once the prediction stands like this."""
        await self._listening.hear({"output": output, "status": status})
        return "".join(self.heard)


@pytest.mark.parametrize("cut", range(1, len(ADDRESS)))
async def test_no_address_is_said_however_it_is_cut(cut: int) -> None:
    """What may be the beginning of one waits until more is known."""
    ear, pieces = _Ear(), ["See ", "it: " + ADDRESS[:cut], ADDRESS[cut:], " there"]
    for number in range(1, len(pieces) + 1):
        said = await ear.hear(pieces[:number])
        assert ADDRESS[:10] not in said
    assert await ear.hear(pieces, "succeeded") == f"See it: {HIDDEN} there"


@given(pieces=st.lists(st.text(alphabet="htps:/ .é", max_size=4), min_size=1, max_size=8))
async def test_together_the_pieces_are_what_the_answer_says(pieces: list[str]) -> None:
    """What waited is said at the end, and nothing twice."""
    ear = _Ear()
    for number in range(1, len(pieces) + 1):
        await ear.hear(pieces[:number])
    if not any(piece.startswith(("http:", "https:")) for piece in pieces):
        assert await ear.hear(pieces, "succeeded") == AddressFilter(OWN).text("".join(pieces))


@pytest.mark.parametrize(
    "output", [None, "text", [], [ADDRESS], ["data:image/png;base64,AA"], [{"a": 1}], ["a", 1], {"a": "b"}], ids=str
)
async def test_what_is_no_list_of_text_is_not_said(output: Any) -> None:
    """Files and objects come with the answer only, and the version is not looked up."""
    ear = _Ear()
    assert await ear.hear(output, "succeeded") == ""
    assert ear.asked == 0


async def test_a_list_that_is_no_text_is_not_said() -> None:
    """As the model's version says, which is looked up once."""
    ear = _Ear(is_text=False)
    assert await ear.hear(["red"]) == ""
    assert await ear.hear(["red", "blue"], "succeeded") == ""
    assert ear.asked == 1
