"""Providers are found through entry points, and names lead to them."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
from structlog.testing import capture_logs

from chassis.settings import Settings
from provider_worker.providers.registry import GROUP, Registry, load_providers
from provider_worker.providers.sandbox import SandboxProvider

SETTINGS = Settings(_env_file=None, openai_base_url=None, openai_api_key=None)


def test_the_shipped_providers_are_installed_as_entry_points() -> None:
    """A fresh installation knows the sandbox and OpenAI."""
    assert {"openai", "sandbox"} <= set(load_providers(SETTINGS).names)


@pytest.mark.parametrize(
    "value",
    [
        "provider_worker.nowhere:Provider",
        "provider_worker.messages.orders:Seen",
        "json:dumps",
        "provider_worker.providers.base:AIProvider",
    ],
)
def test_a_broken_provider_is_logged_and_left_out(value: str) -> None:
    """Missing modules, classes that are none, abstract ones: the others are there all the same."""
    found = [
        EntryPoint("broken", value, GROUP),
        EntryPoint("sandbox", "provider_worker.providers.sandbox:SandboxProvider", GROUP),
    ]
    with capture_logs() as logs:
        registry = load_providers(SETTINGS, found)
    assert registry.names == ["sandbox"]
    assert [(line["log_level"], line["entry"]) for line in logs] == [("error", "broken")]


def test_a_tool_name_stands_for_its_provider() -> None:
    """In any case of letters; an unknown name finds none."""
    registry = Registry([SandboxProvider()])
    assert registry.find("Sandbox-Image") is registry.find("sandbox")
    assert registry.find("nobody") is None


def test_a_provider_s_own_name_wins_over_a_tool_s() -> None:
    """No provider can take over another's name by naming a tool after it."""

    class Rival(SandboxProvider):
        name = "rival"
        tools = {"sandbox": None}  # noqa: RUF012 - as a provider's author would write it

    sandbox = SandboxProvider()
    assert Registry([Rival(), sandbox]).find("sandbox") is sandbox


def test_the_second_of_two_with_one_name_is_left_out() -> None:
    """And the log says so."""
    first = SandboxProvider()
    with capture_logs() as logs:
        registry = Registry([first, SandboxProvider()])
    assert registry.find("sandbox") is first
    assert len(logs) == 1
