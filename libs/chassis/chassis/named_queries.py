"""Reads `.sql` files of named queries: `-- name: some-name`, a comment that says what the query is for, the query."""

from __future__ import annotations

from importlib import resources


def named_queries(package: str, file: str = "queries.sql") -> dict[str, str]:
    """Return each query of a package's file by its name."""
    text = resources.files(package).joinpath(file).read_text()
    sections = text.split("-- name: ")[1:]
    return {name: query.strip() for name, _, query in (section.partition("\n") for section in sections)}
