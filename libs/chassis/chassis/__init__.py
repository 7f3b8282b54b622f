"""The common parts of every service: settings, logs, health and metrics, migrations, start and stop. Knows nothing of runs."""
