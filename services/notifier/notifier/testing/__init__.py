"""The ports in memory, for tests: all that a notifier needs to run in one process."""
