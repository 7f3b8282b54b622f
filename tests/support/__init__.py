"""What the suites share: a real PostgreSQL, a real Kafka and the embedded one, the four services as processes."""
