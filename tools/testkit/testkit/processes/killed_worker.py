"""A worker in a process of its own that executes one order and is killed at a chosen await.

Each record that it sends reaches the test at once, byte for byte, as it would reach Kafka; the rest is lost with it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from chassis.failpoints import Failpoints
from chassis.settings import Settings
from contracts.providers.orders import ExecuteOrder
from contracts.topics import COMMANDS
from messaging.offset_committer import SentBatch
from messaging.records import Outgoing
from provider_worker.execution.call import CallHandler
from provider_worker.providers.openai import OpenAIProvider
from provider_worker.providers.registry import Registry, load_providers
from provider_worker.providers.remote_job import PollSchedule
from provider_worker.providers.replicate import ReplicateProvider
from provider_worker.sanitizer import Sanitizer
from provider_worker.testing.transport import MemoryRecord
from testkit.worker.bench import consumer_on, dependencies_on

PLACE = "call.awaiting"
SOON = PollSchedule(first=0.001, longest=0.01)
"""A fake vendor's job has ended at the first poll, so polls need not be far apart."""
VENDORS = ("openai", "anthropic", "huggingface", "replicate")

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    [
        # The fork server can import installed packages, not the folder of tests.
        "provider_worker.orders.consumer",
        "provider_worker.testing.memory",
        *(f"provider_worker.providers.{vendor}.client" for vendor in VENDORS),
        "anyio._backends._asyncio",
    ]
)


@dataclass(frozen=True)
class WorkerRun:
    """The answers that a worker sent before it ended, and whether it was killed."""

    answers: Sequence[bytes]
    killed: bool


async def carry_out(order: ExecuteOrder, settings: Mapping[str, str], kill_at: int | None = None) -> WorkerRun:
    """Let a worker execute `order`, and kill it at its provider's await number `kill_at`."""
    return await asyncio.to_thread(_carry_out, order.model_dump_json().encode(), dict(settings), kill_at)


def _carry_out(order: bytes, settings: dict[str, str], kill_at: int | None) -> WorkerRun:
    receiver, sender = _forks.Pipe(duplex=False)
    process = _forks.Process(target=_work, args=(order, settings, kill_at, sender), daemon=True)
    process.start()
    sender.close()
    answers = []
    try:
        while receiver.poll(60):
            answers.append(receiver.recv_bytes())
    except EOFError:
        pass
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL), f"the worker ended with {process.exitcode}"
    return WorkerRun(answers, process.exitcode != 0)


class _PipePublisher:
    """The worker's port for sending, on a pipe to the test."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def send(self, record: Outgoing) -> None:
        if record.topic != COMMANDS.name:  # the other topics are read by watchers, not by the run
            return
        self._connection.send_bytes(record.value or b"")

    async def try_to_send(self, record: Outgoing) -> None:
        await self.send(record)


def _work(order: bytes, settings: dict[str, str], kill_at: int | None, sender: Connection) -> None:
    waits = 0

    def on_failpoint(place: str) -> None:
        nonlocal waits
        waits += place == PLACE
        if waits == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    async def work() -> None:
        registry = _registry(Settings(_env_file=None, **settings))  # type: ignore[arg-type]
        dependencies = dependencies_on(
            _PipePublisher(sender), registry, sanitizer=Sanitizer(), failpoints=Failpoints(on_failpoint)
        )
        calls = CallHandler(dependencies)
        worker = consumer_on(dependencies, calls, confirm=_confirm, on_failure=_break, most=1)
        await worker.on_records([MemoryRecord(order)])
        await worker.stop(60)
        await registry.close()

    asyncio.run(work())


def _registry(settings: Settings) -> Registry:
    if (token := settings.replicate_api_token) is not None:
        return Registry([ReplicateProvider(token.get_secret_value(), settings.replicate_base_url, schedule=SOON)])
    if (key := settings.openai_api_key) is not None:
        return Registry([OpenAIProvider(key.get_secret_value(), settings.openai_base_url, schedule=SOON)])
    return load_providers(settings)


async def _confirm(_: SentBatch) -> None:
    return


def _break(error: BaseException) -> Any:
    raise error
