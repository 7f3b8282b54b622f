"""Orders for the worker, providers that do as they are told, and a worker with everything around it in memory."""
