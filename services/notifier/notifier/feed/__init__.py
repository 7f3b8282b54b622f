"""The feeds: from records of the log to the hub."""
