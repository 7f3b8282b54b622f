"""The results as a page in Markdown: each figure beside its target, then all measurements."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.cases import MANY
from bench.hops import CROSSED
from bench.interpreter import interpreter
from bench.results import Loaded, Results

OURS = ("gateway", "orchestrator", "provider-worker", "notifier")
_KB, _MB = 1024, 1024 * 1024
_BARE = (
    "Four small processes (`tools/bench/bench/bare`) that pass records of the same contents over the same hops, after the same warm-up. They leave"
    " out all else: rules, digests, leases, deadlines, consumer groups and offsets, lists, metrics. They show the least that the hops cost here."
)


def page(results: Results, bare: Results, command: str, kafka: str, postgres: str) -> str:
    """Return the page. `bare` are the results of the bare hops."""
    many, one = results.many, results.one
    assert many is not None
    assert one is not None
    parts = [
        "# Benchmark\n",
        f"`{command}`, on {_machine()}; {kafka}, {postgres}, fsync on.\n",
        "Everything runs on this one machine, the load driver too. Machines differ, and days: compare ratios within one call.\n",
        "## Targets\n",
        _table(("figure", "target", "measured"), _targets(results, bare)),
        "\n## Latency, in milliseconds\n",
        _table(("", "reviewers", "p50", "p95", "p99"), [*_latencies(1, one.timings), *_latencies(MANY, many.timings)]),
        "\n## What a run costs\n",
        _table(("process", "CPU ms a run", "beside the bare hops", "peak memory MB"), _costs(results, many, bare)),
        "\n## Beside the bare hops\n",
        f"{_BARE}\n",
        _table(("figure", "the bare hops", "the product", "product / bare"), _beside(bare, results)),
        "\n## More of everything\n",
        _table(("case", "runs/s", "share of the floor", "decision to next request p50 ms"), _more(results, many)),
        f"\n{_asides(results)}\n",
        "\n## Rows after all cases\n",
        "A consumer that silently stopped would look like a speed-up.\n",
        _table(("table", "rows"), [(name, f"{count:,}") for name, count in sorted(results.rows.items())]),
    ]
    return "\n".join(parts) + "\n"


def _targets(results: Results, bare: Results) -> list[tuple[str, str, str]]:
    many, one, hops = results.many, results.one, results.hops
    assert many is not None
    assert one is not None
    assert hops is not None
    assert bare.many is not None
    assert results.idle is not None
    share = many.timings.rate / results.floor
    alone, decision = 1000 * hops.total, _percentile(one.timings.next_request, 50)
    cpu, least, cpu_alone = _cpu(many), _cpu(bare.many), _cpu(one)
    memory = sum(results.peaks[name] for name in OURS) / _MB
    return [
        (
            f"CPU per run, services and PostgreSQL, {MANY} reviewers, beside the bare hops",
            "at most 1.9 times",
            f"**{cpu / least:.2f} times** ({cpu:.2f} ms beside {least:.2f})",
        ),
        (
            f"completed runs/s, {MANY} reviewers, as a share of the floor",
            "above 0.14",
            f"**{share:.3f}** ({many.timings.rate:,.0f} of {results.floor:,.0f})",
        ),
        (
            "decision to next request visible, 1 reviewer, p50, beside the sum of its hops and commits alone",
            "at most 1.9 times",
            f"**{decision / alone:.2f} times** ({decision:.1f} ms beside {alone:.1f})",
        ),
        (
            f"CPU per run, 1 reviewer, beside the same at {MANY}",
            "at most 4 times",
            f"**{cpu_alone / cpu:.2f} times** ({cpu_alone:.1f} ms beside {cpu:.1f})",
        ),
        ("the embedded stack while nothing happens", "at most 6% of a core", f"**{100 * results.idle:.1f}%**"),
        ("peak memory of the four services together", "at most 337 MB", f"**{memory:.0f} MB**"),
    ]


def _beside(bare: Results, product: Results) -> Iterable[tuple[str, ...]]:
    for (title, form, least), (_, _, whole) in zip(_figures(bare), _figures(product), strict=True):
        yield (title, format(least, form), format(whole, form), f"{whole / least:.2f}")


def _figures(results: Results) -> list[tuple[str, str, float]]:
    many, one = results.many, results.one
    assert many is not None
    assert one is not None
    latency = many.timings.next_request
    return [
        (f"completed runs/s, {MANY} reviewers", ",.0f", many.timings.rate),
        ("decision to next request visible, 1 reviewer, p50, ms", ".1f", _percentile(one.timings.next_request, 50)),
        (f"the same, {MANY} reviewers, p50, ms", ".1f", _percentile(latency, 50)),
        (f"the same, {MANY} reviewers, p99, ms", ".1f", _percentile(latency, 99)),
        ("CPU per run, services and PostgreSQL, ms", ".2f", _cpu(many)),
        ("CPU per run, the load driver, the same code in both, ms", ".2f", many.cpu_ms["driver"]),
        ("WAL per run, kB", ".1f", many.per_run(lambda reading: reading.wal_bytes) / _KB),
        ("database commits per run", ".2f", many.per_run(lambda reading: reading.commits)),
    ]


def _latencies(reviewers: int, timings: object) -> Iterable[tuple[str, ...]]:
    for title, name in (
        ("start to first request visible", "first_request"),
        ("decision to next request visible", "next_request"),
        ("decision to completed", "completed"),
    ):
        took: Sequence[float] = getattr(timings, name)
        yield (title, str(reviewers), *(f"{_percentile(took, percent):.1f}" for percent in (50, 95, 99)))


def _costs(results: Results, many: Loaded, bare: Results) -> Iterable[tuple[str, ...]]:
    assert bare.many is not None
    least = bare.many.cpu_ms
    for name, cpu in many.cpu_ms.items():
        # PostgreSQL's is its first process alone: shared memory would be counted once for each of the others.
        shown = "" if name == "driver" else f"{results.peaks[name] / _MB:.0f}"
        yield (name, f"{cpu:.3f}", f"{least[name]:.3f}", shown)


def _more(results: Results, many: Loaded) -> Iterable[tuple[str, ...]]:
    cases = [("one orchestrator", many), ("more stored runs", results.more_stored)]
    cases += [(f"{count} orchestrators", loaded) for count, loaded in results.orchestrators.items()]
    for title, loaded in cases:
        if loaded is not None:
            rate, latency = loaded.timings.rate, _percentile(loaded.timings.next_request, 50)
            yield (
                f"{title}, {loaded.stored:,} stored",
                f"{rate:,.0f}",
                f"{rate / results.floor:.3f}",
                f"{latency:.1f}",
            )


def _asides(results: Results) -> str:
    hops, many = results.hops, results.many
    assert hops is not None
    assert many is not None
    crossed = ", ".join(
        f"{times:g} times {name} {1000 * getattr(hops, name):.2f} ms" for name, times in CROSSED.items()
    )
    lines = [
        f"A decision crosses {crossed}.",
        f"Kafka bytes a run: {many.per_run(lambda reading: reading.kafka_bytes) / _KB:.1f} kB.",
        f"The floor, before and after: {' and '.join(f'{rate:,.0f}' for rate in results.floors)} runs/s.",
    ]
    if results.waiting is not None:
        started, decided = results.waiting
        lines.append(f"Runs all left waiting, then all decided: {started:.1f} s and {decided:.1f} s.")
    if results.backlog_seconds is not None:
        lines.append(
            f"The backlog of start commands was decided {results.backlog_seconds:.1f} s after the orchestrator's start began."
        )
    return "\n".join(f"- {line}" for line in lines)


def _cpu(loaded: Loaded) -> float:
    """CPU of a run, services and PostgreSQL, in milliseconds."""
    return sum(loaded.cpu_ms[name] for name in (*OURS, "postgres"))


def _percentile(took: Sequence[float], percent: int) -> float:
    """In milliseconds."""
    return 1000 * sorted(took)[min(len(took) - 1, len(took) * percent // 100)]


def _table(head: tuple[str, ...], body: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _machine() -> str:
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    gigabytes = round(int(memory.split()[1]) / _KB / _KB)
    return f"{os.cpu_count()} cores, {gigabytes} GiB, {interpreter()}"
