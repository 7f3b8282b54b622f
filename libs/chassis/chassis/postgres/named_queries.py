"""Named SQL: a file `queries.sql` of statements, each under a line `-- name: …` and a line that says what it is for."""

from __future__ import annotations

from importlib import resources


def named_queries(package: str, file: str = "queries.sql") -> dict[str, str]:
    """Return the statements of a package's file by name, without comments. Raises KeyError at use for a name that is not there."""
    text = resources.files(package).joinpath(file).read_text()
    found: dict[str, str] = {}
    for part in text.split("-- name: ")[1:]:
        name, body = part.split("\n", 1)
        lines = [line for line in body.splitlines() if not line.lstrip().startswith("--")]
        found[name.strip()] = "\n".join(lines).strip().removesuffix(";")
    return found
