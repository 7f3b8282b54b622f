"""Shared by all vendors' HTTP interfaces: failures by status, bounds on answers, rate limits from headers."""
