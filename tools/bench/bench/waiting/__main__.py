"""`make bench-waiting`: how fast the waiting list answers while 100,000 checkpoints wait. Writes `tools/bench/WAITING.md`."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl

from bench.interpreter import interpreter
from bench.waiting.fill import RARE, fill
from bench.waiting.gateway import credential, running_gateway
from contracts.identity import Principal, Role
from contracts.runs.tasks.readers import reader_of
from gateway.adapters.postgres.pool import PostgresDatabase
from gateway.adapters.postgres.reader import PostgresViews
from gateway.adapters.postgres.schema import prepare_schemas
from gateway.http.parameters import ApprovalFilters
from gateway.ports import WaitingPlace
from gateway.projection.search_words import words_of
from gateway.projection.waiting_list import WaitingFilters, WaitingOrder
from testkit.postgres.ledger_tables import make_ledger_tables
from testkit.postgres.servers import running
from testkit.runs.people import ADAM, principal

RESULTS = Path(__file__).parents[2] / "WAITING.md"
WAITING, QUICK = 100_000, 5_000
TIMES, WARM_UP = 100, 10
LIMIT = 50
STEP = 200
REVIEWER = principal("person7", Role.REVIEWER, groups=("group1", "group2", "group3"))


class Case(NamedTuple):
    """A list that is asked for: its query over HTTP, and the same for the reader."""

    title: str
    query: str
    filters: WaitingFilters = WaitingFilters()
    order: WaitingOrder = WaitingOrder()
    steps_before: int = 0


CASES = (
    Case("first page, the oldest", ""),
    Case("first page, the earliest due", "sort=due", order=WaitingOrder("due")),
    Case("first page, the most urgent", "sort=priority", order=WaitingOrder("priority")),
    Case("first page, the newest", "order=desc", order=WaitingOrder("opened", is_reversed=True)),
    Case("behind 20,000, the oldest", "", steps_before=100),
    Case("behind 20,000, the earliest due", "sort=due", order=WaitingOrder("due"), steps_before=100),
    Case("`mine`", "mine=true", WaitingFilters(persons=(REVIEWER.person,))),
    Case("`group`", "group=group2&sort=due", WaitingFilters(group="group2"), WaitingOrder("due")),
    Case("`q`, a frequent word", "q=red", WaitingFilters(words=words_of("red"))),
    Case("`q`, two beginnings", "q=noun12+bl", WaitingFilters(words=words_of("noun12 bl"))),
    Case("`q`, a rare word", f"q={RARE}", WaitingFilters(words=words_of(RARE))),
    Case("`priority_min=95`, the earliest due", "priority_min=95&sort=due", WaitingFilters(priority_min=95), WaitingOrder("due")),
)  # fmt: skip


def main(arguments: list[str]) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="make bench-waiting", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything, and print in place of writing")
    chosen = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="sayso-waiting-"))
    try:
        page = asyncio.run(_measure(folder, QUICK if chosen.quick else WAITING))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if not chosen.quick:
        RESULTS.write_text(page)
    print(page)
    return 0


async def _measure(folder: Path, count: int) -> str:
    async with running(folder) as server:
        url = await server.create_database("waiting", "template1")
        await make_ledger_tables(url)
        await prepare_schemas(url)
        took = await fill(url, count)
        database = PostgresDatabase(url, prepare_schemas)
        lines = [line for who in (REVIEWER, ADAM) for line in await _lines(database, who, folder)]
        await database.start()
        cold = await _timed(lambda: PostgresViews(database).pending(REVIEWER.tenant, LIMIT, reader=reader_of(REVIEWER)))
        await database.stop()
    head = ["who", "list", "items of", "HTTP p50", "p95", "p99", "reader p50", "p95", "p99", "of it the count p50"]
    rows = "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *lines])
    return (
        f"# The waiting list\n\n`make bench-waiting`: {count:,} checkpoints wait, written by the projection in {took:.0f} s;"
        f" pages of {LIMIT} runs, {TIMES} times each, in milliseconds; {interpreter()}."
        f" The load of the machine was {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores.\n\n{rows}\n\n"
        "A reader is `PostgresViews` in this process; HTTP is the whole gateway around it, asked without a socket. Views of a page are kept after its"
        f" first read. A reviewer's first page by a reader that keeps none yet: p50 {_percentile(cold, 50):.1f}, p95 {_percentile(cold, 95):.1f}.\n"
    )


async def _lines(database: PostgresDatabase, who: Principal, folder: Path) -> list[list[str]]:
    views, found, headers, reader = PostgresViews(database), [], credential(who), reader_of(who)
    async with running_gateway(database, views, folder) as http:
        for case in CASES:
            filters = case.filters
            if case.query.startswith("mine"):
                filters = WaitingFilters(persons=(who.person,))
            after = None
            for _ in range(case.steps_before):
                after = (await views.pending(who.tenant, STEP, after, filters, case.order, reader)).end
            asked = ApprovalFilters.model_validate({**dict(parse_qsl(case.query)), "follow_up": "all"})
            cursor = asked.cursor_of(who.tenant, after)
            path = f"/hitl/approvals?limit={LIMIT}&follow_up=all&{case.query}" + (f"&cursor={cursor}" if cursor else "")

            async def over_http(path: str = path) -> None:
                (await http.get(path, headers=headers)).raise_for_status()

            async def read(
                case: Case = case, filters: WaitingFilters = filters, after: WaitingPlace | None = after
            ) -> int:
                return (await views.pending(who.tenant, LIMIT, after, filters, case.order, reader)).total

            async def count(filters: WaitingFilters = filters) -> int:
                return await views.count(who.tenant, filters, reader)

            times = [await _timed(each) for each in (over_http, read, count)]
            cells = [f"{_percentile(took, percent):.1f}" for took in times[:2] for percent in (50, 95, 99)]
            found.append(
                [who.roles[0].value, case.title, f"{await read():,}", *cells, f"{_percentile(times[2], 50):.1f}"]
            )
    return found


def _percentile(took: list[float], percent: int) -> float:
    return took[min(len(took) - 1, len(took) * percent // 100)]


async def _timed(ask: Callable[[], Awaitable[object]]) -> list[float]:
    took = []
    for _ in range(WARM_UP):
        await ask()
    for _ in range(TIMES):
        began = time.perf_counter()
        await ask()
        took.append(1000 * (time.perf_counter() - began))
    return sorted(took)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
