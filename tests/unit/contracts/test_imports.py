"""Contracts need Pydantic alone: a client that installs them gets no Kafka client, no framework and no metrics."""

from __future__ import annotations

import subprocess
import sys

import pytest

FOREIGN = ("faststream", "aiokafka", "prometheus_client", "cramjam", "starlette", "structlog", "psycopg", "asyncpg")


@pytest.mark.parametrize(
    "module", ["contracts.runs.commands", "contracts.runs.views", "contracts.asyncapi", "messaging.records"]
)
def test_contracts_load_no_client_of_anything(module: str) -> None:
    """In a fresh interpreter, whatever this one has loaded."""
    code = f"import sys, {module}; print(*(name for name in {FOREIGN} if name in sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)  # noqa: S603 - our own code
    assert said.stdout.strip() == ""
