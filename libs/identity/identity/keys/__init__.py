"""API keys: what is kept of them, and where."""
