"""The named statements of `queries.sql`."""

from chassis.named_queries import named_queries

QUERIES = named_queries(__package__)
