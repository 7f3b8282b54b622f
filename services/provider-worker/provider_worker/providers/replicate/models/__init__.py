"""Replicate's models: how they are named, what their versions' schemas say, where a prompt and files go in an input."""
