"""Gauges of cost: CPU and memory of each process, commits and WAL of PostgreSQL, bytes of Kafka, rows of every table."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil

_STATISTICS_SECONDS = 1.2
"""PostgreSQL's processes report their counters once a second."""


@dataclass(frozen=True)
class Reading:
    """One reading. `cpu` is seconds since each process started."""

    cpu: Mapping[str, float]
    commits: int
    wal_bytes: int
    kafka_bytes: int


@dataclass(frozen=True)
class Gauges:
    """Reads the resources that the processes in `pids` have used so far."""

    pids: Mapping[str, list[int]]
    database_url: str
    kafka_data: Path

    async def read(self) -> Reading:
        """Read all gauges, once PostgreSQL's counters have settled."""
        cpu = {name: sum(map(cpu_seconds, pids)) for name, pids in self.pids.items()}
        connection = await asyncpg.connect(self.database_url)
        try:
            wal = await connection.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")
            await asyncio.sleep(_STATISTICS_SECONDS)
            commits = await connection.fetchval("SELECT sum(xact_commit) FROM pg_stat_database")
        finally:
            await connection.close()
        return Reading(cpu, int(commits), int(wal), _log_bytes(self.kafka_data))

    def peaks(self) -> dict[str, int]:
        """Return the peak resident memory of each, in bytes."""
        return {name: sum(map(_peak_bytes, pids)) for name, pids in self.pids.items()}


async def rows(database_url: str) -> dict[str, int]:
    """Count the rows of all our tables: a consumer that silently stopped would look like a speed-up."""
    connection = await asyncpg.connect(database_url)
    try:
        names = await connection.fetch(
            "SELECT schemaname || '.' || relname AS name FROM pg_stat_user_tables WHERE schemaname <> 'public' ORDER BY 1"
        )
        return {row["name"]: await connection.fetchval(f"SELECT count(*) FROM {row['name']}") for row in names}  # noqa: S608
    finally:
        await connection.close()


def cpu_seconds(pid: int) -> float:
    """Return the CPU that a process and all that descend from it have used, in seconds; of this process, its own alone."""
    process = psutil.Process(pid)
    used = process.cpu_times()
    total = used.user + used.system
    if pid == os.getpid():
        return float(total)  # all other processes are its children
    # The parent's times include children that ended, not those that run.
    total += used.children_user + used.children_system
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            total += times.user + times.system
    return float(total)


def _peak_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def _log_bytes(folder: Path) -> int:
    return sum(
        segment.stat().st_size
        for segment in folder.glob("*/*.log")
        if segment.parent.name.startswith(("run.", "provider."))
    )
