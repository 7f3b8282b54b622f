"""A fake Replicate on loopback: `python -m fake_vendors.replicate`. `server` lists its protocols and its faults."""

from fake_vendors.replicate.server import FakeReplicate

__all__ = ["FakeReplicate"]
