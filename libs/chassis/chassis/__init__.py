"""What every service stands on: settings, logs, health and metrics, a clean start and stop. Knows nothing of runs."""
