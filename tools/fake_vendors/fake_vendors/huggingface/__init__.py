"""A fake HuggingFace on loopback: `python -m fake_vendors.huggingface`. `server` says what it speaks and which faults it has."""

from fake_vendors.huggingface.server import FakeHuggingFace

__all__ = ["FakeHuggingFace"]
