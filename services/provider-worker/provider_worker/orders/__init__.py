"""Orders: consumer, claims, lease, handler."""
