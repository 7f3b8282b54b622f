"""Kafka behind the worker's ports."""
