"""The jars of Apache Kafka: resolved once by Maven into `target/jars` beside the `pom.xml`."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
POM = FOLDER / "pom.xml"
JARS = FOLDER / "target" / "jars"
RESOLVE_SECONDS = 300


class Unavailable(Exception):
    """Apache Kafka cannot be run here; the message says what is missing."""


def version() -> str:
    """Return the version of Apache Kafka that the `pom.xml` names."""
    found = re.search(
        r"<artifactId>kafka_[\d.]+</artifactId>.*?<version>([\d.]+)</version>", POM.read_text(), re.DOTALL
    )
    assert found is not None, "the pom names Kafka"
    return found[1]


def ensure_jars() -> Path:
    """Return the folder of the jars, resolved first where they are not those of this `pom.xml`.

    Raises Unavailable without Java or Maven, or when Maven fails.
    """
    program("java")
    JARS.parent.mkdir(exist_ok=True)
    with (JARS.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        resolved, wanted = JARS.parent / "resolved", hashlib.sha256(POM.read_bytes()).hexdigest()
        if not (resolved.exists() and resolved.read_text() == wanted):
            _resolve()
            resolved.write_text(wanted)
    return JARS


def program(name: str) -> str:
    """Return the path of a program. Raises Unavailable when it is missing."""
    found = shutil.which(name)
    if found is None:
        raise Unavailable(f"no {name} on this machine")
    return found


def _resolve() -> None:
    shutil.rmtree(JARS, ignore_errors=True)
    command = [
        program("mvn"),
        "--batch-mode",
        "--quiet",
        f"--file={POM}",
        "dependency:copy-dependencies",
        f"-DoutputDirectory={JARS}",
    ]
    try:
        maven = subprocess.run(command, check=False, capture_output=True, text=True, timeout=RESOLVE_SECONDS)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"Maven did not resolve Kafka within {RESOLVE_SECONDS} s") from None
    if maven.returncode:
        raise Unavailable(f"Maven could not resolve Kafka: {(maven.stdout + maven.stderr).strip()[-500:]}")
