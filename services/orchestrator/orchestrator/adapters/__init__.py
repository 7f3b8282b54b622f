"""Where the orchestrator meets PostgreSQL."""
