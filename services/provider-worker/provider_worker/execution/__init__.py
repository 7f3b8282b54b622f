"""One call, and what goes on beside it."""
