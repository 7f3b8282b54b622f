"""Admission of calls: rate limits of a provider's account for all workers together, and circuit breakers.

Knows no vendor and no driver. The rules come from `SAYSO_LIMITS`; PostgreSQL keeps the reservations.
"""
