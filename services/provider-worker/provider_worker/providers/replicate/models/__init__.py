"""Replicate's models: names, versions with their schemas, places of a prompt and of files in an input."""
