"""Secrets of the whole installation, and keys that are derived from them."""
