"""A real OpenID Connect provider as a process, and a proxy before it that does as a test asks."""
