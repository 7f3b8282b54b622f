"""Offsets are committed up to the first batch whose sends are not all acknowledged, whatever comes behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from unittest.mock import AsyncMock

import pytest
from aiokafka.errors import CommitFailedError, GroupAuthorizationFailedError

from messaging.offset_committer import OffsetCommitter, SentBatch


class Commits:
    """Keeps what was committed."""

    def __init__(self) -> None:
        self.offsets: dict[int, int] = {}

    async def __call__(self, offsets: Mapping[int, int]) -> None:
        """Commit."""
        self.offsets |= offsets


def sends(*outcomes: BaseException | str) -> list[asyncio.Future[Any]]:
    """Return futures that failed, are `done`, or are still on their way."""
    found = []
    for outcome in outcomes:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        elif outcome == "done":
            future.set_result(None)
        found.append(future)
    return found


async def test_a_batch_without_sends_is_committed_at_the_next_look() -> None:
    """Nothing has to be waited for."""
    commits = Commits()
    committer = OffsetCommitter(commits)
    await committer.add(SentBatch({0: 10}, ()))
    await committer.add(SentBatch({0: 12, 1: 3}, sends("done")))
    await committer.commit()
    assert commits.offsets == {0: 12, 1: 3}


async def test_what_comes_behind_a_batch_waits_for_it() -> None:
    """Also what sends nothing: an offset says that all before it is done."""
    commits = Commits()
    committer = OffsetCommitter(commits)
    tracking = asyncio.create_task(committer.track())
    waiting = sends("late")
    await committer.add(SentBatch({0: 10}, waiting))
    await committer.add(SentBatch({0: 20}, ()))
    await asyncio.sleep(0)
    await committer.commit()
    assert commits.offsets == {}
    waiting[0].set_result(None)
    await committer.settle()
    assert commits.offsets == {0: 20}
    tracking.cancel()


@pytest.mark.parametrize("beside", [(), ("late",)])
async def test_nothing_behind_a_batch_that_failed_for_good_is_committed(beside: tuple[str, ...]) -> None:
    """The process ends and begins again with that batch; another send that is late does not hide the failure."""
    commits = Commits()
    committer = OffsetCommitter(commits)
    tracking = asyncio.create_task(committer.track())
    await committer.add(SentBatch({0: 10}, sends(*beside, RuntimeError("for good"))))
    with pytest.raises(RuntimeError, match="for good"):
        await tracking
    await committer.add(SentBatch({0: 20}, ()))
    await committer.commit()
    assert commits.offsets == {}


async def test_partitions_that_go_to_another_member_are_committed_and_forgotten() -> None:
    """When they come back, what was done here before says nothing: an older offset would send the group back."""
    commits = Commits()
    committer = OffsetCommitter(commits)
    tracking = asyncio.create_task(committer.track())
    late = sends("late")
    await committer.add(SentBatch({0: 10, 1: 5}, late))
    asyncio.get_running_loop().call_later(0.05, late[0].set_result, None)
    await committer.revoke({0})
    assert commits.offsets == {0: 10, 1: 5}
    commits.offsets = {0: 90}  # the other member went on
    await committer.commit()
    assert commits.offsets == {0: 90}
    await committer.add(SentBatch({0: 10}, ()))  # it is read again from there, whatever was committed here once
    await committer.commit()
    assert commits.offsets == {0: 10}
    tracking.cancel()


async def test_a_refusal_that_no_other_try_mends_is_told_and_a_passing_one_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An operator learns why everything is read again after each start."""
    caplog.set_level("INFO")
    for refusal in (GroupAuthorizationFailedError(), CommitFailedError()):
        committer = OffsetCommitter(AsyncMock(side_effect=refusal))
        await committer.add(SentBatch({0: 10}, ()))
        await committer.commit()
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
