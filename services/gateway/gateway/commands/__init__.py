"""Commands to the orchestrator, and their outcomes."""
