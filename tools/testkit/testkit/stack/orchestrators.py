"""Orchestrators as processes, a load of commands for them, and the check that each command had exactly one effect."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

import httpx
import psutil
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from contracts.providers.orders import parse_order
from contracts.runs.commands import ApproveCheckpoint, StartRun
from contracts.runs.outcomes import Accepted, Refused, parse_outcome
from contracts.runs.run_event import RunEvent
from contracts.topics import EVENTS, OUTCOMES, WORK
from local_stack.ports import LOOPBACK
from local_stack.processes.process import Process, Program
from local_stack.wait import until
from messaging.producer import Producer
from testkit.kafka.partitions import partitions_of
from testkit.postgres.unreliable import dump
from testkit.runs.command_records import approve, outgoing, start

WAIT_SECONDS = 30.0


class Orchestrator:
    """One `python -m orchestrator`, or another module that hosts more aggregates."""

    def __init__(
        self,
        folder: Path,
        bootstrap: str,
        url: str,
        settings: Mapping[str, str] | None = None,
        module: str = "orchestrator",
    ) -> None:
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "DATABASE_URL": url,
            "SAYSO_ORCHESTRATOR_PORT": "0",
            "PYTHONUNBUFFERED": "1",
            **(settings or {}),
        }
        log = folder / f"orchestrator-{id(self)}.log"
        self.process = Process(Program("orchestrator", [sys.executable, "-m", module], log, environment))

    @property
    def said(self) -> str:
        """Its log."""
        return self.process.program.log.read_text()

    async def start(self) -> None:
        """Start it and return when it is ready."""
        self.process.start()
        await self.ready()

    async def ready(self) -> None:
        """Return when it says that it is ready."""
        await until(lambda: self.health(200), WAIT_SECONDS, "the orchestrator is ready")

    async def health(self, status: int) -> bool:
        """Tell whether readiness is answered with `status`."""
        assert self.process.pid is not None, self.said
        ports = [at.laddr.port for at in psutil.Process(self.process.pid).net_connections() if at.status == "LISTEN"]
        if not ports:
            return False
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            with contextlib.suppress(httpx.TransportError):
                return (await client.get(f"http://{LOOPBACK}:{ports[0]}/health/ready")).status_code == status
        return False

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        assert self.process.pid is not None, self.said
        os.kill(self.process.pid, signal.SIGTERM)

    async def ends(self, seconds: float = 10.0) -> int:
        """Return the exit code; fails when it does not end in time."""
        await until(lambda: not self.process.alive, seconds, f"the orchestrator ends:\n{self.process.last_lines()}")
        code = self.process.exit_code
        assert code is not None
        return code


class Listener:
    """Reads all new records of some topics, also through Kafka's restarts."""

    def __init__(self, bootstrap: str, *topics: str) -> None:
        self._bootstrap = bootstrap
        self._topics = topics
        self.heard: list[ConsumerRecord] = []

    async def __aenter__(self) -> Self:
        """Start to read at each partition's end."""
        self._consumer = AIOKafkaConsumer(
            *self._topics, bootstrap_servers=self._bootstrap, enable_auto_commit=False, fetch_max_wait_ms=50
        )
        await self._consumer.start()
        places = [
            TopicPartition(topic, number)
            for topic in self._topics
            for number in self._consumer.partitions_for_topic(topic) or ()
        ]
        await self._consumer.seek_to_end(*places)
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        """Stop reading."""
        self._listening.cancel()
        await asyncio.wait([self._listening])
        await self._consumer.stop()

    async def _listen(self) -> None:
        async for record in self._consumer:
            self.heard.append(record)

    def on(self, topic: str) -> list[ConsumerRecord]:
        """Return the records of a topic."""
        return [record for record in self.heard if record.topic == topic]


class Load:
    """Starts runs until `stop`. Each is also approved too early, and started a second time by the same command."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self.started: list[StartRun] = []
        self.commands: list[StartRun | ApproveCheckpoint] = []
        self._stopping = False

    async def run(self) -> None:
        """Send, about a hundred runs a second, and wait for Kafka to take all."""
        partitions = (await partitions_of(self._bootstrap, [OUTCOMES.name]))[OUTCOMES.name]
        producer = Producer(self._bootstrap, "load")
        await producer.start()
        while not self._stopping:
            began = time.monotonic()
            begun = [start(reply_to=number % partitions) for number in range(10)]
            early = [approve(each.run_id, reply_to=each.reply_to) for each in begun]
            self.started += begun
            self.commands += [*begun, *early]
            await asyncio.gather(*await producer.send_all(map(outgoing, [*begun, *early, *begun])))
            await asyncio.sleep(max(0.0, 0.1 - (time.monotonic() - began)))
        await producer.stop()

    async def more(self, count: int = 30) -> None:
        """Return when so many more runs were started."""
        seen = len(self.started)
        await until(lambda: len(self.started) >= seen + count, WAIT_SECONDS, "there is load")

    def stop(self) -> None:
        """Let the load end after its current batch."""
        self._stopping = True


@contextlib.asynccontextmanager
async def loading(bootstrap: str) -> AsyncIterator[Load]:
    """Put the orchestrators under load."""
    load = Load(bootstrap)
    sending = asyncio.create_task(load.run())
    try:
        yield load
    finally:
        load.stop()
        await sending


@contextlib.asynccontextmanager
async def under_load(bootstrap: str, url: str) -> AsyncIterator[Load]:
    """Put the orchestrators under load; in the end, see that every command had one effect and one answer."""
    async with Listener(bootstrap, EVENTS.name, WORK.name, OUTCOMES.name) as listener:
        async with loading(bootstrap) as load:
            yield load
        await _settled(load, listener, url)


async def _settled(load: Load, listener: Listener, url: str) -> None:
    runs = {command.run_id for command in load.started}
    missing = {
        EVENTS.name: set(runs),
        WORK.name: set(runs),
        OUTCOMES.name: {command.command_id for command in load.commands},
    }
    events: dict[tuple[UUID, int], set[bytes]] = defaultdict(set)
    answers: dict[UUID, set[bytes]] = defaultdict(set)
    read = 0

    def all_published() -> bool:
        nonlocal read
        for record in listener.heard[read:]:
            about = _about(record)
            missing[record.topic].discard(about)
            if record.topic == EVENTS.name and about in runs:
                events[about, RunEvent.parse(record.value).version].add(record.value)
            if record.topic == OUTCOMES.name:
                answers[about].add(record.value)
            read += 1
        return not any(missing.values())

    await until(all_published, WAIT_SECONDS, f"all of {len(runs)} runs are published")
    held = {(row[0], row[1]): {row[3]} for row in (await dump(url))["events"] if row[0] in runs}
    assert held.keys() == {(run_id, 1) for run_id in runs}, "each run was started once, and nothing else happened to it"
    assert events == held, "what is published is what is stored"
    for command in load.commands:
        (answer,) = (parse_outcome(body) for body in answers[command.command_id])
        assert isinstance(answer, Accepted if isinstance(command, StartRun) else Refused), "each has one answer, ever"


def _about(record: ConsumerRecord) -> UUID:
    if record.topic == EVENTS.name:
        return RunEvent.parse(record.value).run_id
    return parse_order(record.value).run_id if record.topic == WORK.name else parse_outcome(record.value).command_id
