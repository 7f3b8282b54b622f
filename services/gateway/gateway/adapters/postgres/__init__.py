"""The read model and the file store in PostgreSQL."""
