"""Vendors that run on loopback: full servers of their documented protocols, for first steps and tests without a key."""
