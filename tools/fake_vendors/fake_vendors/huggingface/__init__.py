"""A fake HuggingFace on loopback: `python -m fake_vendors.huggingface`. `server` lists its protocols and its faults."""

from fake_vendors.huggingface.server import FakeHuggingFace

__all__ = ["FakeHuggingFace"]
