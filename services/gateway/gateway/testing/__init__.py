"""Ports in memory, for tests and for wiring without PostgreSQL."""
