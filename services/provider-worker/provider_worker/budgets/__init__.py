"""Budgets: their rules, and the gate around a call."""
