"""Fake servers of four vendors: real HTTP, no key, faults on request."""
