"""The world in memory: the same promises as PostgreSQL and Kafka, kept for one process. For tests, and for wiring without either."""
