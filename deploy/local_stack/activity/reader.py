"""Reads commands, events and outcomes from now on, outside any group, and tells their lines."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from contracts.topics import COMMANDS, EVENTS, OUTCOMES
from local_stack.activity.lines import ActivityLines
from local_stack.activity.throttle import Throttle

_FETCH_WAIT_MS = 100


class ActivityReader:
    """Tells what happens to runs. It is no part of the work: where it fails, one line says so and the stack goes on."""

    def __init__(self, lines: ActivityLines, tell: Callable[[str], None]) -> None:
        self._lines = lines
        self._throttle = Throttle()
        self._tell = tell
        self._read: list[str] = []
        self._broker: Any = None

    async def start(self, bootstrap: str) -> None:
        """Read from now on."""
        from messaging.consumer import create_broker, subscribe_broadcast, wait_for_positions  # noqa: PLC0415 - slow to import

        for library in ("aiokafka", "sayso.faststream"):  # the stack says itself what has ended
            logging.getLogger(library).setLevel(logging.CRITICAL)
        try:
            self._broker = broker = create_broker(bootstrap, "local-stack")
            readers = [
                subscribe_broadcast(broker, topic, self._on_records, fetch_wait_ms=_FETCH_WAIT_MS)
                for topic in (COMMANDS, EVENTS, OUTCOMES)
            ]
            await broker.start()
            for reader in readers:
                await wait_for_positions(reader)
        except Exception as error:  # the runs go on without their lines
            self._tell(f"what happens to runs is not shown here: {error}")

    async def stop(self) -> None:
        """Read no more."""
        broker, self._broker = self._broker, None
        if broker is not None:
            with contextlib.suppress(Exception):  # its Kafka may have ended
                await broker.stop()

    def tick(self) -> None:
        """Tell what was read since the last call, and how much was held back; call it often."""
        lines, self._read = self._read, []
        for line in lines:
            self._tell(line)
        if held := self._throttle.held(monotonic()):
            self._tell(f"… and {held} lines more")

    async def _on_records(self, records: Sequence[Any]) -> None:
        for record in records:
            line = self._lines.line(record.topic, record.value)
            if line is not None and self._throttle.passes(monotonic()):
                self._read.append(line)
