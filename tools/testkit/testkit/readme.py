"""What the README shows, as tests check it."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import SecretStr

from chassis.settings import Settings

README = Path(__file__).parents[3] / "README.md"


def code_blocks(language: str) -> list[str]:
    """Return the README's fenced blocks in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)


def settings_table() -> str:
    """Return the table of settings as the README should show it."""
    rows = ["| name | default | what it is |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = default.get_secret_value() if isinstance(default, SecretStr) else default
        rows.append(
            f"| `{field.alias or name.upper()}` | {'' if shown is None else f'`{shown}`'} | {field.description} |"
        )
    return "\n".join(rows)
