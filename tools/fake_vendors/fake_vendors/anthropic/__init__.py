"""A fake Anthropic on loopback: `python -m fake_vendors.anthropic`. `server` lists its protocols and its faults."""

from fake_vendors.anthropic.server import FakeAnthropic

__all__ = ["FakeAnthropic"]
