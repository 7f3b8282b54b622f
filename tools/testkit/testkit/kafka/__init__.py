"""Kafka for tests: real, embedded, in memory, and records made by hand."""
