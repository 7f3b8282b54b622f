"""Faults of the services: killed, suspended, scaled, killed at a failpoint."""
