"""What the worker reads and says: orders in, answers out."""
