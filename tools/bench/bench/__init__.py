"""The benchmark: the public path on real Kafka and PostgreSQL, beside a floor and the bare hops. See `tools/bench/README.md`."""
