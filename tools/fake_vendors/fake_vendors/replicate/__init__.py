"""A fake Replicate on loopback: `python -m fake_vendors.replicate`. `server` says what it speaks and which faults it has."""

from fake_vendors.replicate.server import FakeReplicate

__all__ = ["FakeReplicate"]
