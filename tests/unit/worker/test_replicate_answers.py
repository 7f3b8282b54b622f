"""Replicate's answers, without a server: places of outputs, their reading, ends of predictions, costs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from contracts.providers.call import Failure
from fake_vendors.replicate.models import MIXER, WRITER
from provider_worker.providers.base import ProviderError
from provider_worker.providers.pricing import PriceTable
from provider_worker.providers.replicate import prices
from provider_worker.providers.replicate.failures import PREDICTION, of_end
from provider_worker.providers.replicate.hosts import BASE_URL, HIDDEN, AddressFilter, delivers
from provider_worker.providers.replicate.models.schemas import speaks_in_pieces
from provider_worker.providers.replicate.responses import audit_prediction

V1 = "1" * 64


@pytest.mark.parametrize(
    ("url", "delivered"),
    [
        ("https://replicate.delivery/x/out.png", True),
        ("https://pbxt.replicate.delivery/x/out.png", True),
        ("http://replicate.delivery/x", False),
        ("https://replicate.delivery.evil.example/x", False),
        ("https://evilreplicate.delivery/x", False),
        ("https://replicate.delivery@evil.example/x", False),
        ("https://api.replicate.com/v1/account", False),
        ("https://[", False),
        ("a cat", False),
    ],
)
def test_only_replicate_s_delivery_is_fetched_from(url: str, *, delivered: bool) -> None:
    """An output is a stranger's text: no address in it opens another door."""
    assert delivers(url, BASE_URL) is delivered


def test_a_stand_in_delivers_by_itself() -> None:
    """At its own origin alone."""
    assert delivers("http://127.0.0.1:9102/delivery/x", "http://127.0.0.1:9102")
    assert not delivers("http://127.0.0.1:9103/delivery/x", "http://127.0.0.1:9102")


def test_addresses_are_hidden() -> None:
    """Replicate's and its stand-in's, wherever they stand; those of others are none of its secrets."""
    hider = AddressFilter("http://127.0.0.1:9102")
    given = {"a": ["see https://api.replicate.com/v1/predictions/x, or http://127.0.0.1:9102/y"], "n": 1}
    assert hider.json(given) == {"a": [f"see {HIDDEN} or {HIDDEN}"], "n": 1}
    assert hider.text("https://example.org/replicate") == "https://example.org/replicate"


def test_an_audit_reads_text_files_and_anything_else() -> None:
    """By the output, and by the version's rule for lists."""
    assert audit_prediction({"output": "Fine."}, None, in_pieces=False).response == {"text": "Fine."}
    assert audit_prediction({"output": ["a", "b"]}, None, in_pieces=True).response == {"text": "ab"}
    assert audit_prediction({"output": ["a", "b"]}, None, in_pieces=False).response == {"output": ["a", "b"]}
    assert audit_prediction({"output": "artifact:x"}, None, in_pieces=True).response == {"files": ["artifact:x"]}
    assert audit_prediction({"output": 0}, None, in_pieces=True).response == {"output": 0}
    assert (speaks_in_pieces(WRITER), speaks_in_pieces(MIXER)) == (True, False)


@pytest.mark.parametrize("output", [None, "", [], {}])
def test_no_output_is_no_answer(output: Any) -> None:
    """Although the prediction succeeded."""
    with pytest.raises(ProviderError) as failed:
        audit_prediction({"output": output}, None, in_pieces=False)
    assert failed.value.failure.code == "empty_response"


def test_what_the_model_s_own_check_took_out_is_flagged() -> None:
    """By what its log says."""
    signals = audit_prediction(
        {"output": "artifact:x", "logs": "NSFW content detected in 1"}, None, in_pieces=True
    ).signals
    assert (signals.safety_flags, signals.response_quality) == (("nsfw",), 0.3)


def test_an_end_is_told_with_the_model_s_reason() -> None:
    """For a person to understand."""
    failure = of_end({"status": "failed", "error": "CUDA out of memory"})
    assert failure is not None
    assert "CUDA out of memory" in failure.message
    assert of_end({"status": "succeeded", "data_removed": True, "output": "kept"}) is None


def test_a_prediction_that_was_lost_sight_of_is_uncertain_and_named() -> None:
    """The next attempt asks about it; what ended for good is over."""
    lost = Failure(
        code="timeout", message="No answer came in time. The call may have happened.", retryable=True, uncertain=True
    )
    known = PREDICTION.of_known(lost.changed({"uncertain": False}), "p1")
    assert (known.uncertain, known.retryable) == (True, True)
    assert "p1" in PREDICTION.of_known(lost, "p1").message
    assert "may have happened" not in PREDICTION.of_known(lost, "p1").message
    ended = Failure(code="prediction_failed", message="It failed.")
    assert PREDICTION.of_known(ended, "p1") == ended


def test_a_second_costs_what_its_hardware_costs() -> None:
    """Where an answer names the hardware; without a price or a count nothing is claimed."""
    table = PriceTable.of("provider_worker.providers.replicate")
    payload = {"version": f"a/b:{V1}", "input": {}}
    known = prices.prices_of(table, payload, {"hardware": "gpu-t4"})
    assert prices.cost_of(known, {"predict_time": 10}, 0) == Decimal("0.00225")
    assert prices.cost_of(known, {}, 0) is None
    assert prices.prices_of(table, payload, {"hardware": "gpu-x"}) is None
    assert prices.prices_of(table, payload, {}) is None
