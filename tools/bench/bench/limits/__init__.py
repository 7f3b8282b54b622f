"""Shared rate limits, measured: four workers, three accounts, more work than the limits allow."""
