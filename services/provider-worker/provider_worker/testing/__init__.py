"""The worker's ports and application in memory, for tests and for programs that embed the worker."""
