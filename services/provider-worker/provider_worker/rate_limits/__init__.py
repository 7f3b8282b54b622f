"""When a call may begin: what a provider's account allows all workers together in a minute and at once, and whether the provider is up.

Knows no vendor and no driver. What is allowed comes from `SAYSO_LIMITS`; who has what is kept in PostgreSQL.
"""
