"""A fake OpenAI on loopback: `python -m fake_vendors.openai`. `server` lists its protocols and its faults."""

from fake_vendors.openai.server import FakeOpenAI

__all__ = ["FakeOpenAI"]
