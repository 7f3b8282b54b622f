"""`make topics`: creates the topics, or ends with one line, soon."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.topics import all_topics
from local_stack.ports import free_port


@pytest.fixture
def silent() -> Iterator[str]:
    """Give the address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed() -> str:
    """Give an address where nothing listens."""
    return f"127.0.0.1:{free_port()}"


async def topics(
    folder: Path, *arguments: str, module: str = "local_stack.topics", **settings: str
) -> tuple[int | None, str]:
    """Run the command in `folder`; return its exit code and what it said."""
    made = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        cwd=folder,
        env={"PATH": os.environ["PATH"], **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await made.communicate()
    return made.returncode, said.decode()


@pytest.mark.parametrize("module", ["local_stack.topics", "messaging"])
@pytest.mark.parametrize("where", ["closed", "silent"])
async def test_a_kafka_that_does_not_answer_is_one_line_within_seconds(
    request: pytest.FixtureRequest, tmp_path: Path, where: str, module: str
) -> None:
    """A closed port, and one that never answers; exit code 1, no traceback, no words of the client library."""
    address = request.getfixturevalue(where)
    began = time.monotonic()
    code, said = await topics(tmp_path, module=module, KAFKA_BOOTSTRAP_SERVERS=address)
    assert time.monotonic() - began < 30
    assert code == 1
    assert said.startswith(f"sayso: topics: KAFKA_BOOTSTRAP_SERVERS: no Kafka answers at {address}")
    assert len(said.splitlines()) == 1


async def test_the_address_may_stand_in_the_file_of_settings(tmp_path: Path, closed: str) -> None:
    """As for every other command."""
    (tmp_path / ".env").write_text(f"KAFKA_BOOTSTRAP_SERVERS={closed}\n")
    assert await topics(tmp_path) == (1, f"sayso: topics: KAFKA_BOOTSTRAP_SERVERS: no Kafka answers at {closed}\n")


@pytest.mark.parametrize("arguments", [(), ("1",)], ids=["as many replicas as fit", "one replica"])
async def test_every_topic_is_made_and_named(tmp_path: Path, kafka_bootstrap: str, arguments: tuple[str, ...]) -> None:
    """On a cluster of one broker too, where nothing is said of replicas; a second time changes nothing."""
    code, said = await topics(tmp_path, *arguments, KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap)
    assert code == 0, said
    assert [line.split()[0] for line in said.splitlines()] == [topic.name for topic in all_topics()]


async def test_a_number_of_replicas_that_is_none_is_one_line(tmp_path: Path, closed: str) -> None:
    """Before Kafka is asked."""
    code, said = await topics(tmp_path, "three", KAFKA_BOOTSTRAP_SERVERS=closed)
    assert (code, said) == (1, "sayso: topics: three is no number of replicas\n")
