"""Shared by all vendors' HTTP interfaces: failures from what servers say, bounds on answers, rate limits from headers."""
