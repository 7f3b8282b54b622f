"""`make bench-limits`: four worker processes, three accounts with more work than they allow, and what their vendors saw of it.

Requests per minute on Anthropic, tokens per minute on OpenAI, calls at once on HuggingFace, all at the same time, for two periods of
63 s. A minute is a minute here: nothing is scaled down. Writes `tools/bench/LIMITS.md`.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from apache_kafka.artifacts import version
from bench.ground import ground
from contracts.json_values import digest
from contracts.providers.orders import ExecuteOrder
from contracts.topics import WORK
from local_stack.ports import LOOPBACK, free_ports
from local_stack.processes.process import Process, Program
from local_stack.wait import until
from messaging.producer import Producer
from messaging.records import Outgoing

RESULTS = Path(__file__).parents[1] / "LIMITS.md"
WORKERS = 4
MEASURED_SECONDS = 126.0
WINDOW = 60.0
REQUESTS, TOKENS, AT_ONCE = 300, 100_000, 8
LIMITS = {
    "anthropic": {"requests_per_minute": REQUESTS},
    "openai": {"tokens_per_minute": TOKENS},
    "huggingface": {"concurrency": AT_ONCE},
}
ORDERS = {"anthropic": 800, "openai": 400, "huggingface": 1300}

Call = tuple[float, float, float]
"""When it began, when it ended, and its tokens."""


@dataclass(frozen=True)
class Seen:
    """What a vendor saw: the most in any window, and the mean, both as shares of the limit."""

    name: str
    limit: str
    calls: int
    most: float
    mean: float


def main() -> int:
    """Measure, print and write. Return 1 when a limit was passed or too little of it used."""
    folder = Path(tempfile.mkdtemp(prefix="sayso-limits-"))
    try:
        seen = asyncio.run(_measure(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    page = _page(seen)
    RESULTS.write_text(page)
    print(page)
    return 0 if all(one.most <= 1 and one.mean > 0.9 for one in seen) else 1


async def _measure(folder: Path) -> list[Seen]:
    async with ground(folder) as (postgres, kafka):
        vendors, *workers = free_ports(3), *free_ports(WORKERS)
        processes = [_vendor(folder, vendors), *_workers(folder, kafka.bootstrap, postgres.url(), vendors, workers)]
        for process in processes:
            process.start()
        try:
            async with httpx.AsyncClient() as http:
                for port in workers:
                    await until(lambda port=port: _is_ready(http, port), 60, "the worker is ready")  # type: ignore[misc]
                await _give_orders(kafka.bootstrap)
                await asyncio.sleep(MEASURED_SECONDS + 5)
                noted = [(await http.get(f"http://{LOOPBACK}:{port}/_noted")).json() for port in vendors]
        finally:
            for process in processes:
                process.kill()
    return _judge(*noted)


def _vendor(folder: Path, ports: Sequence[int]) -> Process:
    command = [sys.executable, "-m", "bench.limits_vendor", *ports]
    return Process(Program("vendors", command, folder / "vendors.log", {}))


def _workers(
    folder: Path, bootstrap: str, database: str, vendors: Sequence[int], ports: Sequence[int]
) -> list[Process]:
    openai, anthropic, huggingface = (f"http://{LOOPBACK}:{port}" for port in vendors)
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "DATABASE_URL": database,
        "SAYSO_LIMITS": json.dumps(LIMITS),
        "OPENAI_BASE_URL": f"{openai}/v1",
        "OPENAI_API_KEY": "sk-of-the-benchmark",
        "ANTHROPIC_BASE_URL": anthropic,
        "ANTHROPIC_API_KEY": "sk-of-the-benchmark",
        "HF_BASE_URL": huggingface,
        "HF_TOKEN": "hf-of-the-benchmark",
    }
    return [
        Process(
            Program(
                f"worker-{port}",
                [sys.executable, "-m", "provider_worker"],
                folder / f"worker-{port}.log",
                {**environment, "SAYSO_WORKER_PORT": str(port)},
            )
        )
        for port in ports
    ]


async def _is_ready(http: httpx.AsyncClient, port: int) -> bool:
    try:
        return (await http.get(f"http://{LOOPBACK}:{port}/health/ready")).is_success
    except httpx.TransportError:
        return False


async def _give_orders(bootstrap: str) -> None:
    producer = Producer(bootstrap, "bench")
    await producer.start()
    # Mixed, as they would come: none of the three lies behind another's backlog.
    orders = sorted(
        ((place / number, _order(provider)) for provider, number in ORDERS.items() for place in range(number)),
        key=lambda pair: pair[0],
    )
    records = [Outgoing(WORK.name, str(order.run_id).encode(), order.model_dump_json().encode()) for _, order in orders]
    await asyncio.gather(*await producer.send_all(records))
    await producer.stop()


def _order(provider: str) -> ExecuteOrder:
    prompt = "How long is a minute? " * 180 if provider == "openai" else "Hello"
    payload: dict[str, Any] = {"model": "fake-1", "messages": [{"role": "user", "content": prompt}]}
    if provider == "anthropic":
        payload |= {"max_tokens": 50}
    return ExecuteOrder(
        run_id=uuid4(),
        work_id=f"work-{uuid4().hex}",
        attempt=1,
        tenant="bench",
        deadline=datetime.now(UTC) + timedelta(minutes=10),
        lease_seconds=600,
        provider=provider,
        model="fake-1",
        operation="text",
        payload=payload,
        payload_sha256=digest(payload),
    )


def _judge(openai: list[Call], anthropic: list[Call], huggingface: list[Call]) -> list[Seen]:
    requests = [(began, 1.0) for began, _, _ in anthropic]
    tokens = [(began, number) for began, _, number in openai]
    return [
        _rated("requests per minute", REQUESTS, requests),
        _rated("tokens per minute", TOKENS, tokens),
        _at_once(huggingface),
    ]


def _rated(name: str, limit: int, begun: list[tuple[float, float]]) -> Seen:
    begun = sorted(begun)
    first = begun[0][0]
    windows = (
        sum(number for at, number in begun[place:] if at < began + WINDOW) for place, (began, _) in enumerate(begun)
    )
    within = sum(number for at, number in begun if at < first + MEASURED_SECONDS)
    mean = within / (limit * MEASURED_SECONDS / WINDOW)
    return Seen(name, f"{limit:,}", len(begun), max(windows) / limit, mean)


def _at_once(calls: list[Call]) -> Seen:
    first = min(began for began, _, _ in calls)
    last = first + MEASURED_SECONDS
    changes = sorted([(began, 1) for began, _, _ in calls] + [(ended, -1) for _, ended, _ in calls])
    running, most, busy, before = 0, 0, 0.0, first
    for at, change in changes:
        busy += running * (max(before, min(at, last)) - before)
        running, before = running + change, max(before, min(at, last))
        most = max(most, running)
    return Seen("calls at once", str(AT_ONCE), len(calls), most / AT_ONCE, busy / (AT_ONCE * MEASURED_SECONDS))


def _page(seen: Sequence[Seen]) -> str:
    rows = [f"| {one.name} | {one.limit} | {one.calls:,} | **{one.most:.3f}** | **{one.mean:.3f}** |" for one in seen]
    return "\n".join(
        [
            "# Shared limits\n",
            f"`make bench-limits`: {WORKERS} worker processes, Apache Kafka {version()}, one PostgreSQL.",
            "The vendors are fakes that note when calls begin and end; each call takes a second.",
            f"More work than the limits allow waits for {MEASURED_SECONDS:.0f} s, on all three accounts at the same time.\n",
            "| limit of | limit | calls | most in any 60 s, or at once, by the limit (at most 1) | mean use (above 0.9) |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
