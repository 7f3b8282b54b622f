"""What every orchestrator does now and then, beside the intake."""
