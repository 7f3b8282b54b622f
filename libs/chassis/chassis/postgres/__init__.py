"""What every owner of a schema shares: migrations and named queries."""
