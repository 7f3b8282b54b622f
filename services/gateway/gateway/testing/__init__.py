"""Every port of the gateway in memory: the same wiring runs without PostgreSQL and Kafka."""
