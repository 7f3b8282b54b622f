"""`make images`: build the image that testcontainers starts. Pulls a base image with Java, or makes one where no image can be pulled."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from apache_kafka.artifacts import FOLDER, Unavailable, ensure_jars, program

IMAGE = "sayso-kafka:local"
PULLED_BASE = "eclipse-temurin:17-jre"
MADE_BASE = "sayso-jre:local"


def build() -> None:
    """Build the image. Raises Unavailable when Docker does not answer or no base can be had."""
    docker = program("docker")
    _run("Docker does not answer", docker, "version", quiet=True)
    ensure_jars()
    base = _base(docker)
    _run("the image could not be built", docker, "build", f"--build-arg=BASE={base}", f"--tag={IMAGE}", FOLDER)


def _base(docker: str) -> str:
    try:
        _run(f"{PULLED_BASE} cannot be pulled", docker, "pull", PULLED_BASE)
    except Unavailable as error:
        _say(f"{error}; making {MADE_BASE}")
        _make_base(docker)
        return MADE_BASE
    return PULLED_BASE


def _make_base(docker: str) -> None:
    """Make a Debian root with a JRE from the machine's package mirror and import it, unless it exists."""
    if subprocess.run([docker, "image", "inspect", MADE_BASE], check=False, capture_output=True).returncode == 0:
        return
    if os.geteuid() != 0:
        raise Unavailable("debootstrap needs root to make a base image")
    with tempfile.TemporaryDirectory() as folder:
        root, tar = Path(folder, "root"), Path(folder, "root.tar")
        wanted = ("--variant=minbase", "--include=openjdk-17-jre-headless", "bookworm")
        _run("debootstrap failed", program("debootstrap"), *wanted, root, quiet=True)
        _run("the base could not be packed", program("tar"), "--create", f"--file={tar}", f"--directory={root}", ".")
        _run("the base could not be imported", docker, "import", tar, MADE_BASE)


def _run(otherwise: str, *command: object, quiet: bool = False) -> None:
    """Run a command. Raises Unavailable with `otherwise` and, if `quiet`, the end of its output."""
    ran = subprocess.run([str(part) for part in command], check=False, capture_output=quiet, text=True)
    if ran.returncode:
        raise Unavailable(otherwise + (f": {(ran.stdout + ran.stderr).strip()[-500:]}" if quiet else ""))


def _say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    """Build the image; exit with one line when that cannot be done."""
    try:
        build()
    except Unavailable as error:
        sys.exit(f"sayso: images: {error}")
    _say(f"{IMAGE} is built; tests use it wherever Docker answers")


if __name__ == "__main__":
    main()
