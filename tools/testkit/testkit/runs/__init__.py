"""Runs for tests: commands, specifications, invariants, histories, samples."""
