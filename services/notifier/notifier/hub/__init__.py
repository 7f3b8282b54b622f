"""Who listens, what each one is to get, and whom to drop. Pure."""
