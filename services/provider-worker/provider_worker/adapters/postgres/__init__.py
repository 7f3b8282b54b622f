"""The worker's tables on PostgreSQL."""
