"""The orchestrator: takes commands in, decides them on event-sourced runs, keeps the ledger, orders the work."""
