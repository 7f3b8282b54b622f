"""The named statements of `queries.sql`."""

from chassis.postgres.named_queries import named_queries

QUERIES = named_queries(__package__)
