"""Fixtures of every suite live in `support`; here they are only made known."""

pytest_plugins = ["support.postgres", "support.kafka", "support.mortal", "support.vendors", "support.stack"]
