"""A fake Anthropic on loopback: `python -m fake_vendors.anthropic`. `server` says what it speaks and which faults it has."""

from fake_vendors.anthropic.server import FakeAnthropic

__all__ = ["FakeAnthropic"]
