"""PostgreSQL for tests: real, and in trouble."""
