"""The key that programs of this machine ask its stack with: the administrator's, which the gateway wrote at its first start."""

from __future__ import annotations

import shlex
from pathlib import Path


def kept_key(file: Path) -> str | None:
    """Return the key in a file; None where there is none: authentication was always off, or its owner took it away."""
    try:
        return file.read_text().strip() or None
    except FileNotFoundError:
        return None


def short(path: Path) -> str:
    """Return a path as one types it here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def curl_option(file: Path | None) -> str:
    """Return the option of curl, with a space before it, that brings the key of a file without showing it; nothing without a file."""
    # Within `$(…)` quotes begin anew, so that the path is quoted for itself.
    return "" if file is None else f' -H "authorization: Bearer $(cat {shlex.quote(short(file))})"'


def headers_of(key: str | None) -> dict[str, str]:
    """Return the headers that bring a key; none without one."""
    return {} if key is None else {"Authorization": f"Bearer {key}"}
