"""Services with packages of outsiders: a provider and a check, installed by pip."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from local_stack.broker.embedded import EmbeddedBroker
from local_stack.postgres.server import Postgres
from testkit.kafka.servers import Kafka
from testkit.postgres.servers import fresh_database
from testkit.stack.services import Stack, running_stack
from testkit.stack.user import User
from testkit.stack.vendors import FakeVendor

EXAMPLES = Path(__file__).parents[2] / "examples"
CHECKS = {
    "secrets": {"when": "asked"},
    "pii": {"when": "asked", "stages": ["payload"]},
    "moderation": {"when": "asked", "force": False},
}
BUDGETS = {"period": "year", "user": {"poor": "0.005"}}
"""The sandbox estimates a short prompt at $0.00205: two fit."""

ROUTES = {
    "thrifty": [
        {"choose": "cheapest", "among": [{"provider": "openai", "model": "gpt-5.4-mini"}, {"provider": "sandbox"}]}
    ],
    "steady": [{"among": [{"provider": "openai", "model": "fault-500"}, {"provider": "sandbox"}]}],
}


def install(package: Path, folder: Path) -> None:
    """Install a package into a folder with pip."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*command, folder, package], check=True, capture_output=True)  # noqa: S603 - our own example


@pytest_asyncio.fixture(scope="session")
async def extended_stack(
    postgres_server: Postgres, fake_openai: FakeVendor, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    """Run the services on the embedded broker, with the examples installed, and checks, budgets and routes set."""
    folder = tmp_path_factory.mktemp("extended")
    for example in ("reverse-provider", "secret-scan-check"):
        install(EXAMPLES / example, folder / "packages")
    settings = {
        "PYTHONPATH": str(folder / "packages"),
        "OPENAI_BASE_URL": fake_openai.base_url,
        "OPENAI_API_KEY": "sk-test-very-secret-key",
        "SAYSO_CHECKS": json.dumps(CHECKS),
        "SAYSO_BUDGETS": json.dumps(BUDGETS),
        "SAYSO_ROUTES": json.dumps(ROUTES),
    }
    broker = EmbeddedBroker(folder / "broker")
    await broker.start()
    kafka = Kafka(broker.bootstrap, embedded=True, log_id=broker.log_id)
    try:
        async with (
            fresh_database(postgres_server) as url,
            running_stack(kafka, url, folder / "logs", settings) as stack,
        ):
            yield stack
    finally:
        await broker.stop()


@pytest_asyncio.fixture(scope="session")
async def cleo(extended_stack: Stack) -> AsyncIterator[User]:
    """Make a user of the extended stack."""
    user = User(extended_stack.gateway_url, extended_stack.ws_url, "cleo")
    async with user.http:
        yield user
