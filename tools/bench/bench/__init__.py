"""The benchmark: the public path on real Kafka and PostgreSQL, beside a floor in plain asyncpg and the bare hops. No speed fails it."""
