"""The README and the pages of `docs/`, as tests read them."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import SecretStr

from chassis.settings import Settings

ROOT = Path(__file__).parents[3]
README = ROOT / "README.md"
DOCS = ROOT / "docs"


def pages() -> list[Path]:
    """Return every page that is written by hand: those of the root, of `docs/` and of the packages."""
    of_packages = [page for package in packages() if (page := package / "README.md").exists()]
    return sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *of_packages])


def packages() -> list[Path]:
    """Return the folder of every package that ships or tests."""
    projects = [*(path for part in ("libs", "services", "tools") for path in (ROOT / part).glob("*/pyproject.toml"))]
    return sorted(path.parent for path in [*projects, ROOT / "deploy" / "pyproject.toml"])


def code_blocks(page: Path, language: str) -> list[str]:
    """Return a page's fenced blocks in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def rows(page: Path, section: str) -> list[list[str]]:
    """Return the cells of the tables that stand directly under a heading, without their heads."""
    body = re.search(rf"^#+ {re.escape(section)}$\n(.*?)(?=^#|\Z)", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = re.findall(r"^\|(.*)\|$", body[1], re.MULTILINE) if body else []
    table = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)] for line in lines]
    heads = {place for place, cells in enumerate(table) if set(cells[0]) == {"-"}}
    return [cells for place, cells in enumerate(table) if place not in heads and place + 1 not in heads]


def settings_table() -> str:
    """Return the table of settings as docs/settings.md should show it."""
    lines = ["| name | default | what it is |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = default.get_secret_value() if isinstance(default, SecretStr) else default
        shown = str(shown).lower() if isinstance(shown, bool) else shown
        lines.append(
            f"| `{field.alias or name.upper()}` | {'' if shown is None else f'`{shown}`'} | {field.description} |"
        )
    return "\n".join(lines)
