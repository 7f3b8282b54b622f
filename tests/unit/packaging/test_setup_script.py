"""The set-up: an interpreter of the user's choice, and an index behind certificates of a company's own."""

from __future__ import annotations

import hashlib
import os
import shutil
import ssl
import subprocess
import sys
import threading
import venv
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "deploy" / "setup.sh"
WHEEL = "trusted-1.0-py3-none-any.whl"


def set_up(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the script in `folder`, with nothing of this process's environment but its path."""
    return subprocess.run(  # noqa: S603 - our own script
        ["/bin/sh", str(SCRIPT), *arguments],
        check=False,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **settings},
        capture_output=True,
        text=True,
    )


class QuietFiles(SimpleHTTPRequestHandler):
    """Serves a folder."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate authority of a company's own, a certificate for loopback by it, and an index with one wheel."""
    folder = tmp_path_factory.mktemp("company")
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout ca.key -out ca.pem -subj /CN=Company"
    server = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj /CN=index"
    signed = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out server.pem -extfile names"
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n")
    for command in (made, server, signed):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)  # noqa: S603, S607
    simple = folder / "web" / "simple" / "trusted"
    simple.mkdir(parents=True)
    with zipfile.ZipFile(simple / WHEEL, "w") as wheel:
        wheel.writestr("trusted.py", "")
        wheel.writestr("trusted-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: trusted\nVersion: 1.0\n")
        wheel.writestr("trusted-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("trusted-1.0.dist-info/RECORD", "")
    digest = hashlib.sha256((simple / WHEEL).read_bytes()).hexdigest()
    (simple / "index.html").write_text(f'<a href="{WHEEL}#sha256={digest}">{WHEEL}</a>')
    (folder / "needed.txt").write_text("trusted==1.0\n")
    return folder


@pytest.fixture(scope="module")
def index(company: Path) -> Iterator[str]:
    """Serve the index over TLS with the company's certificate; give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietFiles, directory=str(company / "web")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(company / "server.pem", company / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}/simple"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment with pip alone, as a newcomer's is before its first step."""
    folder = tmp_path_factory.mktemp("checkout")
    venv.create(folder / ".venv", with_pip=True, symlinks=True)
    return folder


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_an_index_behind_certificates_of_a_companys_own_is_trusted(
    company: Path, index: str, environment: Path, installer: str
) -> None:
    """As soon as the system trusts them, for both installers; where it does not, neither installs."""
    uv = environment / ".venv" / "bin" / "uv"
    uv.unlink(missing_ok=True)
    if installer == "uv":
        shutil.copy(Path(sys.executable).parent / "uv", uv)
    indexes = {
        "PIP_INDEX_URL": index,
        "UV_DEFAULT_INDEX": index,
        "PIP_RETRIES": "0",
        "UV_NO_CACHE": "1",
        "PIP_NO_CACHE_DIR": "1",
    }
    needed = str(company / "needed.txt")
    refused = set_up(environment, "install", needed, **indexes)
    assert refused.returncode != 0
    trusted = set_up(environment, "install", needed, **indexes, SSL_CERT_FILE=str(company / "ca.pem"))
    assert trusted.returncode == 0, trusted.stderr
    installed = subprocess.run(  # noqa: S603 - our own environment
        [environment / ".venv" / "bin" / "python", "-m", "pip", "uninstall", "--yes", "trusted"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert "Successfully uninstalled trusted-1.0" in installed.stdout


def test_the_interpreter_that_is_named_makes_the_environment(tmp_path: Path) -> None:
    """Whatever others are on the path; its name is kept, so that a later `make` without it changes nothing."""
    chosen = tmp_path / "my python"
    chosen.symlink_to(sys.executable)
    # No index: the set-up goes on with pip where there is no uv.
    made = set_up(tmp_path, "environment", PYTHON=str(chosen), PIP_NO_INDEX="1")
    assert made.returncode == 0, made.stderr
    assert (tmp_path / ".venv" / "bin" / "python").exists()
    assert (tmp_path / ".venv" / "chosen-python").read_text() == f"{chosen}\n"


@pytest.mark.parametrize("named", ["python2.9", "/bin/false"])
def test_an_interpreter_that_does_not_fit_is_one_line(tmp_path: Path, named: str) -> None:
    """The line names it, and no other is tried."""
    made = set_up(tmp_path, "environment", PYTHON=named)
    assert made.returncode == 1
    assert made.stderr == f"sayso: Python 3.11 or newer is needed, with its venv module; tried: {named}\n"
    assert not (tmp_path / ".venv").exists()


def test_the_fastest_interpreter_makes_the_environment(tmp_path: Path) -> None:
    """A plain build on the path before an optimised one costs a fifth of all speed; the one line says which was taken.

    One that has something beside it for a moment is slow in that turn alone.
    """
    for folder, name, pace in (
        ("a", "python3.11", "echo 100"),
        ("b", "python3.11", 'if [ -e "$0.begun" ]; then echo 130; else : > "$0.begun"; echo 60; fi'),
        ("b", "python3.13", "echo 132"),
        ("c", "python3.12", "exit 1"),
    ):
        python = tmp_path / folder / name
        python.parent.mkdir(exist_ok=True)
        python.write_text(f'#!/bin/sh\ncase $1 in */pace.py) {pace}; exit ;; esac\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
    path = f"{tmp_path}/a:{tmp_path}/b:{tmp_path}/c:{without_python(tmp_path)}"
    made = set_up(tmp_path, "environment", PATH=path, PIP_NO_INDEX="1")
    assert made.returncode == 0, made.stderr
    said = made.stdout.splitlines()[0]
    assert said.startswith("set-up: a virtual environment in .venv, with Python 3.")
    assert said.endswith(f" of {tmp_path}/b/python3.11, the fastest of 3 here"), "one in a hundred is no difference"


def without_python(folder: Path) -> Path:
    """Return a folder of the programs that the script needs, and no interpreter."""
    programs = folder / "programs"
    programs.mkdir()
    for name in ("tr", "readlink", "rm", "grep", "sh", "cat"):
        (programs / name).symlink_to(shutil.which(name) or name)
    return programs
