"""Batches of commands in, decisions out."""
