"""C2: a provider is one file and one entry point. A package that nobody here knows of is installed, and runs use it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from local_stack.embedded_broker import EmbeddedBroker
from local_stack.postgres import Postgres
from support.client import User
from support.kafka import Kafka
from support.postgres import fresh_database
from support.stack import running_stack

EXAMPLE = Path(__file__).parents[2] / "examples" / "reverse-provider"
BOTH = {"policy": "require_human", "allowed_steps": ["payload_review", "response_review"]}


def install(package: Path, folder: Path) -> None:
    """Install a package into a folder of its own, as pip does it for anybody."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    subprocess.run([*command, folder, package], check=True, capture_output=True)  # noqa: S603 - our own example


async def test_a_package_adds_a_provider(tmp_path: Path, postgres_server: Postgres) -> None:
    """It is listed with what it offers, its schema is the reviewer's form, and its answer is the run's result."""
    install(EXAMPLE, tmp_path / "packages")
    broker = EmbeddedBroker(tmp_path / "broker")
    await broker.start()
    kafka = Kafka(broker.bootstrap, embedded=True, log_id=broker.log_id)
    try:
        async with (
            fresh_database(postgres_server) as url,
            running_stack(kafka, url, tmp_path / "logs", {"PYTHONPATH": str(tmp_path / "packages")}) as stack,
        ):
            ann = User(stack.gateway_url, stack.ws_url)
            async with ann.http:
                offers = (await ann.http.get("/providers")).json()["items"]
                assert "reverse" in [offer["provider"] for offer in offers]
                started = await ann.start(provider="reverse", prompt="stressed", hitl=BOTH)
                asked = await ann.until(started["run_id"], "payload_review")
                assert asked["checkpoint"]["subject"] == {"text": "stressed"}
                assert asked["checkpoint"]["subject_schema"]["required"] == ["text"]
                assert (await ann.decide(asked, "edit", edits={"text": ""})).status_code == 422
                await ann.decide(asked, "edit", edits={"text": "diaper"})
                await ann.decide(await ann.until(started["run_id"], "response_review"), "approve")
                assert (await ann.until(started["run_id"], "completed"))["result"] == {"text": "repaid"}
    finally:
        await broker.stop()
