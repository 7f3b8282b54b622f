"""The gateway's errors. A docstring is the message where it fits.

GatewayError
├── DatabaseUnavailable
│   ├── LedgerMissing
│   ├── SchemaMissing
│   └── QueryTooSlow
├── ValuesRefused
├── NoProviders
│   └── CatalogIncomplete
├── MalformedCursor (http.cursors)
├── DuplicateMember (http.body)
├── Problem (http.problems)
├── DataFolderUnusable (identity.first_key)
└── ProjectorClosed (read_model.projector)
"""

from __future__ import annotations


class GatewayError(Exception):
    """Something that the gateway expects to go wrong."""


class DatabaseUnavailable(GatewayError):
    """The database does not answer, or cannot serve now."""


class LedgerMissing(DatabaseUnavailable):
    """The ledger is not there yet: the orchestrator makes it at its start."""


class SchemaMissing(DatabaseUnavailable):
    """The tables are not there: the database is another one, and they are about to be made."""


class QueryTooSlow(DatabaseUnavailable):
    """The database did not answer this query in time. It answers others."""


class ValuesRefused(GatewayError):
    """The database refuses these values, and always will."""


class NoProviders(GatewayError):
    """No provider worker has announced itself yet."""


class CatalogIncomplete(NoProviders):
    """The providers are being announced just now; the one that is asked for may be among them."""
