"""A fake OpenAI on loopback: `python -m fake_vendors.openai`. `server` says what it speaks and which faults it has."""

from fake_vendors.openai.server import FakeOpenAI

__all__ = ["FakeOpenAI"]
