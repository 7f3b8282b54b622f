"""Names of our packages are never looked up in an index: none of ours is published, and a stranger may own the name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROJECTS = sorted(
    path
    for path in ROOT.glob("*/*/pyproject.toml")
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
) + sorted(ROOT.glob("deploy/pyproject.toml"))
EXTENDING = ROOT / "docs" / "extending.md"
OURS = {tomllib.loads(path.read_text())["project"]["name"]: path.parent for path in PROJECTS}


class Index:
    """A package index without packages that records its requests."""

    def __init__(self) -> None:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """Answer that there is no such package."""
                asked.append(self.path)
                self.send_error(404)

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self.asked = asked
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple"


@pytest.fixture
def index() -> Iterator[Index]:
    """Serve an empty index on loopback."""
    index = Index()
    thread = threading.Thread(target=index.server.serve_forever)
    thread.start()
    yield index
    index.server.shutdown()
    thread.join()
    index.server.server_close()


def test_all_packages_have_the_products_name() -> None:
    """One prefix, so that what is ours is known by its name."""
    assert len(OURS) > 8
    assert all(name.startswith("sayso-") for name in OURS)


def test_set_up_asks_no_index_for_our_names(index: Index) -> None:
    """The Makefile's own step, as a dry run, with an index that tells what it was asked."""
    folders = [str(folder.relative_to(ROOT)) for folder in OURS.values() if folder.parts[-2] != "examples"]
    environment = {**os.environ, "PIP_INDEX_URL": index.url, "UV_INDEX_URL": index.url, "PIP_DRY_RUN": "1"}
    environment.pop("PIP_EXTRA_INDEX_URL", None)
    made = subprocess.run(  # noqa: S603 - our own script
        ["/bin/sh", "deploy/setup.sh", "install", "/dev/null", *folders],
        cwd=ROOT,
        env={**environment, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert index.asked == []


def test_the_index_of_the_test_is_asked_where_nothing_forbids_it(index: Index) -> None:
    """The stand-in really is what pip would ask: the test above can fail."""
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--dry-run", "--retries", "0", "sayso-unpublished"],
        env={**os.environ, "PIP_INDEX_URL": index.url},
        capture_output=True,
        check=False,
    )
    assert any("sayso-unpublished" in path for path in index.asked)


@pytest.mark.parametrize("pins", ["requirements.txt", "requirements-dev.txt"])
def test_no_pin_names_a_package_of_ours(pins: str) -> None:
    """What is pinned is fetched by its name."""
    assert not re.search(r"^sayso", (ROOT / pins).read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", OURS)
def test_no_package_of_ours_needs_another_by_its_name(name: str) -> None:
    """A name that is needed is fetched: those of ours stand in a group that no installer reads."""
    project = tomllib.loads((OURS[name] / "pyproject.toml").read_text())["project"]
    wanted = [*project.get("dependencies", []), *project.get("optional-dependencies", {}).values()]
    assert [one for one in wanted if "sayso" in str(one)] == []


@pytest.mark.parametrize("name", ["sayso-reverse-provider", "sayso-secret-scan-check", "sayso-gateway", "sayso-deploy"])
def test_a_plain_install_of_a_folder_asks_for_no_name_of_ours(index: Index, name: str) -> None:
    """As a newcomer types it, without any option that forbids an index; it builds with what the environment has."""
    subprocess.run(  # noqa: S603 - our own folders
        [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--no-build-isolation", "--ignore-installed"),
            *("--retries", "0", f"--index-url={index.url}", str(OURS[name])),
        ],
        env={**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": ""},
        capture_output=True,
        check=False,
    )
    assert [path for path in index.asked if "sayso" in path] == []


def test_the_example_installs_as_it_is_written(index: Index, tmp_path: Path) -> None:
    """The command of docs/extending.md, into a folder of its own, with an index that has nothing."""
    (command,) = re.findall(r"^\.venv/bin/(pip install .*reverse-provider)$", EXTENDING.read_text(), re.MULTILINE)
    installed = subprocess.run(  # noqa: S603 - our own page
        [sys.executable, "-m", *command.split(), "--target", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PIP_INDEX_URL": index.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert installed.returncode == 0, installed.stderr
    assert (tmp_path / "reverse_provider.py").exists()
    assert index.asked == []


def test_every_command_that_installs_a_folder_asks_no_index() -> None:
    """In the set-up, the images and the documents: a folder of ours is installed with `--no-deps --no-index`."""
    places = [
        ROOT / "README.md",
        *ROOT.glob("docs/*.md"),
        ROOT / "deploy" / "Dockerfile",
        ROOT / "deploy" / "setup.sh",
        ROOT / "Makefile",
    ]
    commands = [
        command
        for place in places
        if place.exists()
        for command in re.findall(
            r"pip install[^\n`]*\./(?:libs|services|examples|tools|deploy)[^\n`]*", place.read_text()
        )
    ]
    assert len(commands) > 1
    assert [
        command for command in commands if "--no-deps --no-index" not in command and "./examples/" not in command
    ] == []
