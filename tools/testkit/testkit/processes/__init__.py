"""Processes that tests may kill."""
