"""The four bare processes."""
