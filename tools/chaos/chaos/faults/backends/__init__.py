"""Faults of Kafka, PostgreSQL and the clocks."""
