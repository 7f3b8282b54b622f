"""Whole implementations of the ports without anything outside the process."""
