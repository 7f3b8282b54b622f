"""The read model on PostgreSQL."""
