"""How fast the waiting list answers while very much waits."""
