#!/bin/sh
# Makes the virtual environment in .venv, or brings what is installed there up to date. Called by the Makefile, from the root.
#   deploy/setup.sh environment
#   deploy/setup.sh install <pinned requirements> <folder of a package>...
set -eu

uv_version=0.13.8
python=.venv/bin/python
pip="$python -m pip --quiet --disable-pip-version-check"

# A company's own certificates stand in the system's trust store, which neither uv nor an older pip reads unless it is told.
trust() {
    export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"
    if [ -z "${PIP_CERT:-}" ] && ! $pip config list | grep -q "cert="; then
        for bundle in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem; do
            if [ -f "$bundle" ]; then
                export PIP_CERT="$bundle"
                break
            fi
        done
    fi
}

fits() {
    "$1" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

environment() {
    if [ ! -w . ]; then
        echo "sayso: the set-up writes .venv beside the Makefile, and $(pwd) cannot be written: copy the checkout" >&2
        exit 1
    fi
    set -- python3.11 python3.12 python3.13 python3.14 python3
    [ -z "${PYTHON:-}" ] || set -- "$PYTHON"
    for found; do
        if fits "$found"; then
            echo "set-up: a virtual environment in .venv, with $("$found" --version)"
            rm -rf .venv
            "$found" -m venv .venv
            echo "${PYTHON:-}" > .venv/chosen-python
            trust
            $pip install "uv==$uv_version" || echo "set-up: no uv $uv_version here; pip does its work, more slowly"
            return
        fi
    done
    echo "sayso: Python 3.11 or newer is needed, with its venv module; tried: $*" >&2
    exit 1
}

install() {
    requirements=$1
    shift
    echo "set-up: installing $requirements"
    trust
    # pip has indexes of its configuration that uv does not read.
    # Compiled once here, and not by five processes at the first start.
    { [ -x .venv/bin/uv ] && .venv/bin/uv pip install --quiet --compile-bytecode --python "$python" -r "$requirements"; } ||
        $pip install -r "$requirements"
    for package; do
        set -- "$@" --editable "./$package"
        shift
    done
    # Our own packages are in no index, where a stranger may own their names: installed by path alone, without an index.
    [ $# -eq 0 ] || $pip install --no-deps --no-index --no-build-isolation "$@"
}

"$@"
