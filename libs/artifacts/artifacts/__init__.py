"""Files and large values, kept in PostgreSQL by the hash of their content, so that they never travel in events."""
