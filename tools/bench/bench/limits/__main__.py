"""`make bench-limits`: four worker processes, three accounts with more work than their limits, and the vendors' view of it.

Requests per minute on Anthropic, tokens per minute on OpenAI, calls at once on HuggingFace, all at the same time, for two periods of
63 s. A minute is a real minute. Writes `tools/bench/LIMITS.md`.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from apache_kafka.artifacts import version
from bench.limits.figures import AT_ONCE, MEASURED_SECONDS, REQUESTS, TOKENS, Figure, figures
from bench.system.servers import running_servers
from contracts.json_values import digest
from contracts.providers.orders import ExecuteOrder
from contracts.topics import WORK
from local_stack.ports import LOOPBACK, free_ports
from local_stack.processes.process import Process, Program
from local_stack.wait import until
from messaging.producer import Producer
from messaging.records import Outgoing, key_of

RESULTS = Path(__file__).parents[2] / "LIMITS.md"
WORKERS = 4
LIMITS = {
    "anthropic": {"requests_per_minute": REQUESTS},
    "openai": {"tokens_per_minute": TOKENS},
    "huggingface": {"concurrency": AT_ONCE},
}
ORDERS = {"anthropic": 800, "openai": 400, "huggingface": 1300}


def main() -> int:
    """Measure, print and write. Return 1 when a limit was exceeded or used too little."""
    folder = Path(tempfile.mkdtemp(prefix="sayso-limits-"))
    try:
        found = asyncio.run(_measure(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    page = _page(found)
    RESULTS.write_text(page)
    print(page)
    return 0 if all(one.most <= 1 and one.mean > 0.9 for one in found) else 1


async def _measure(folder: Path) -> list[Figure]:
    async with running_servers(folder) as (postgres, kafka):
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
                calls = [(await http.get(f"http://{LOOPBACK}:{port}/_calls")).json() for port in vendors]
        finally:
            for process in processes:
                process.kill()
    return figures(*calls)


def _vendor(folder: Path, ports: Sequence[int]) -> Process:
    command = [sys.executable, "-m", "bench.limits.vendors", *ports]
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
    # Mixed, so that no account waits behind another's backlog.
    orders = sorted(
        ((place / number, _order(provider)) for provider, number in ORDERS.items() for place in range(number)),
        key=lambda pair: pair[0],
    )
    records = [Outgoing(WORK.name, key_of(order.run_id), order.model_dump_json().encode()) for _, order in orders]
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


def _page(found: Sequence[Figure]) -> str:
    rows = [f"| {one.name} | {one.limit} | {one.calls:,} | **{one.most:.3f}** | **{one.mean:.3f}** |" for one in found]
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
