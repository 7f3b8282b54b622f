"""Faults injected into real processes under load, and the breaches counted afterwards. See `tools/chaos/README.md`."""
