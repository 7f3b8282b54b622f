"""Messages for tests: the golden file of each kind, and strategies for any content."""
