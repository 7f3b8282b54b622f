"""Compose hands every setting on: what a page says of a setting is true in containers too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chassis.settings import setting_names

COMPOSE = (Path(__file__).parents[3] / "deploy" / "compose.yaml").read_text()
LOCAL = {"SAYSO_DATA_DIR"}
"""A folder of `make run`, or of the container."""

FIXED = {"KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "SAYSO_HOST", "SAYSO_GATEWAY_URL"}
"""Decided by the file itself, which has the servers and the network."""


@pytest.mark.parametrize("name", sorted({*setting_names()} - LOCAL - FIXED))
def test_a_setting_of_the_environment_reaches_its_service(name: str) -> None:
    """As the variable of the same name, or as the port or the file of this machine that stands for it."""
    as_variable = re.search(rf"^ +{name}: \$\{{{name}(:-[^}}]*)?\}}$", COMPOSE, re.MULTILINE)
    as_port = re.search(rf"127\.0\.0\.1:\$\{{{name}:-(\d+)\}}:\1\"", COMPOSE)
    as_file = re.search(
        rf"^ +{name}: \$\{{{name}:\+(\S+)\}}\n +volumes: \[\"\$\{{{name}:-/dev/null\}}:\1:ro\"\]$",
        COMPOSE,
        re.MULTILINE,
    )
    assert as_variable or as_port or as_file, f"deploy/compose.yaml: write {name}: ${{{name}:-}}"


@pytest.mark.parametrize("name", sorted(FIXED))
def test_what_the_file_decides_stands_in_it(name: str) -> None:
    """A service in a container never falls back to loopback."""
    assert re.search(rf"^ +{name}: [^$\s]+$", COMPOSE, re.MULTILINE)


def test_no_name_is_handed_on_that_is_no_setting() -> None:
    """A service would refuse to start on it."""
    handed = set(re.findall(r"^ +((?:SAYSO|OPENAI|ANTHROPIC|REPLICATE|HF)_[A-Z_]+):", COMPOSE, re.MULTILINE))
    assert handed - {*setting_names()} == set()
