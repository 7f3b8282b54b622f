"""The references inside one JSON Schema document: the subschemas that `$ref` and `$dynamicRef` may name. Fetches nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

from jsonpointer import JsonPointer, JsonPointerException

METASCHEMAS = ("https://json-schema.org/", "http://json-schema.org/")
"""The addresses of the schemas that every validator brings with it."""

_ROOT = "urn:sayso:schema"


class UnknownReference(Exception):
    """A reference names nothing in its document; nothing is fetched."""


class References:
    """Finds the targets of references by `$id`, `$anchor`, `$dynamicAnchor` and JSON Pointer."""

    def __init__(self, document: Any) -> None:
        self._bases: dict[int, str] = {}
        self._named: dict[str, Any] = {}
        self._dynamic: defaultdict[str, list[Any]] = defaultdict(list)
        waiting: list[tuple[Any, str]] = [(document, _ROOT)]
        self._named[_ROOT] = document
        while waiting:
            value, base = waiting.pop()
            match value:
                case Mapping():
                    base = self._keep(value, base)
                    waiting += [(item, base) for item in value.values() if isinstance(item, Mapping | list)]
                case list():
                    waiting += [(item, base) for item in value if isinstance(item, Mapping | list)]

    def targets(self, schema: Mapping[str, Any], keyword: str) -> Sequence[Any]:
        """Return all that a reference of `schema` may name; none in the document if it names a metaschema. Raises UnknownReference."""
        said = schema[keyword]
        if not isinstance(said, str) or is_metaschema(schema, keyword):
            return ()
        address, fragment = urldefrag(_joined(self._bases.get(id(schema), _ROOT), said))
        found = self._target(address, unquote(fragment))
        if keyword != "$ref":
            # Which of them is meant depends on the way to here: count with every one.
            found = [*found, *self._dynamic["" if keyword == "$recursiveRef" else fragment]]
        if not found:
            raise UnknownReference(f"{said[:200]} is not in the schema")
        return found

    def _keep(self, schema: Mapping[str, Any], base: str) -> str:
        if isinstance(said := schema.get("$id"), str):
            base, fragment = urldefrag(_joined(base, said))
            self._named.setdefault(base, schema)
            if fragment:
                self._named[f"{base}#{fragment}"] = schema
        self._bases[id(schema)] = base
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(anchor := schema.get(keyword), str):
                self._named[f"{base}#{anchor}"] = schema
        if isinstance(anchor := schema.get("$dynamicAnchor"), str):
            self._dynamic[anchor].append(schema)
        if schema.get("$recursiveAnchor") is True:
            self._dynamic[""].append(schema)
        return base

    def _target(self, address: str, fragment: str) -> Sequence[Any]:
        if fragment and not fragment.startswith("/"):
            address, fragment = f"{address}#{fragment}", ""
        if address not in self._named:
            return ()
        try:
            return (JsonPointer(fragment).resolve(self._named[address]),)
        except JsonPointerException:
            return ()


def is_metaschema(schema: Mapping[str, Any], keyword: str) -> bool:
    """Return whether a reference names a schema of JSON Schema itself."""
    return isinstance(said := schema[keyword], str) and said.startswith(METASCHEMAS)


def _joined(base: str, said: str) -> str:
    if said.startswith("#"):  # `urljoin` knows no fragments of a URN
        return base + said
    try:
        return urljoin(base, said)
    except ValueError:
        return said
