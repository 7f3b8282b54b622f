"""Faults of records and clients: duplicates, malformed records, refused commands, clients that hang up or never read."""
