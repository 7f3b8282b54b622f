"""Prices are data: dated, and the operator's own lie over them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from chassis.settings import Settings, SettingsError
from provider_worker.providers.openai import OpenAIProvider
from provider_worker.providers.pricing import BadPrices, PriceTable
from provider_worker.providers.registry import load_providers

SHIPPED = PriceTable.of("provider_worker.providers.openai")


def test_a_table_that_ships_says_when_it_was_read() -> None:
    """A price is true of a day."""
    assert SHIPPED.as_of.count("-") == 2
    assert all(price >= 0 for prices in SHIPPED.models.values() for price in prices.values())


def test_an_operators_prices_lie_over_those_that_ship(tmp_path: Path) -> None:
    """Model by model: the others stay as they are, and another provider's are none of ours."""
    own = tmp_path / "prices.json"
    own.write_text(
        '{"openai": {"mine": {"input": "1", "output": 2.5}, "gpt-5": {"input": "9", "output": "9"}}, "x": {"y": {}}}'
    )
    table = SHIPPED.under(own, "openai")
    assert table.models["mine"] == {"input": Decimal(1), "output": Decimal("2.5")}
    assert table.models["gpt-5"]["input"] == 9
    assert table.models["gpt-4o"] == SHIPPED.models["gpt-4o"]
    assert "y" not in table.models
    assert SHIPPED.under(None, "openai") is SHIPPED


async def test_a_provider_prices_by_them(tmp_path: Path) -> None:
    """The estimate that a reviewer sees is made of them."""
    own = tmp_path / "prices.json"
    own.write_text('{"openai": {"local": {"input": 1000000, "output": 0}}}')
    provider = OpenAIProvider.from_settings(Settings(openai_base_url="http://127.0.0.1:1/v1", prices=own))
    payload = {"model": "local", "messages": [{"role": "user", "content": "x" * 8}]}
    assert await provider.estimate_cost("text", payload) == 3, "three tokens, of four characters each"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "7",
        '{"openai": []}',
        '{"openai": {"m": {"input": "dear"}}}',
        '{"openai": {"m": 1}}',
        '{"openai": {"m": {"input": "-1", "output": "1"}}}',
        '{"openai": {"m": {"input": "NaN", "output": "1"}}}',
    ],
    ids=["empty", "no JSON", "a list", "a number", "no models", "no price", "no kinds", "less than nothing", "NaN"],
)
def test_a_table_that_cannot_be_read_stops_the_start(tmp_path: Path, text: str) -> None:
    """Prices that are passed over in silence would be believed."""
    own = tmp_path / "prices.json"
    own.write_text(text)
    with pytest.raises(BadPrices, match=r"SAYSO_PRICES: .*prices\.json: .+"):
        SHIPPED.under(own, "openai")
    with pytest.raises(SettingsError, match="SAYSO_PRICES"):
        load_providers(Settings(prices=own))


def test_a_file_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    """It is named."""
    with pytest.raises(BadPrices, match=r"nowhere\.json"):
        SHIPPED.under(tmp_path / "nowhere.json", "openai")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"opneai": {"m": {"input": 1, "output": 1}}}', "/opneai: no such provider; known are anthropic"),
        ('{"openai": {"m": {"output": 1}}}', "/openai/m: its prices need input and output"),
        ('{"anthropic": {"m": {"inptu": 1, "output": 1}}}', "/anthropic/m: its prices need input and output"),
        ('{"huggingface": {"m": {}}}', "/huggingface/m: its prices need input and output"),
        ('{"replicate": {"a/b": {"hour": 1}}}', "/replicate/a/b: its prices need second or image or input or output"),
    ],
)
def test_a_price_that_would_fail_an_answer_stops_the_start(tmp_path: Path, text: str, said: str) -> None:
    """Before anything is bought: with its place, and what is known there."""
    own = tmp_path / "prices.json"
    own.write_text(text)
    with pytest.raises(SettingsError) as refused:
        load_providers(Settings(prices=own))
    assert str(refused.value).startswith("SAYSO_PRICES: ")
    assert said in str(refused.value)
