"""Periodic work of every orchestrator beside the intake: deadlines and retention."""
