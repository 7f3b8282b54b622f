"""Attempts: orders to workers, the answers to them, and what follows from a failure. Decides nothing for a person."""
