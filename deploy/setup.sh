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

# Prints how fast an interpreter is that fits.
pace() {
    "$1" "${0%/*}/pace.py" 2>/dev/null
}

# Every place where one of the names stands on the path: the first one is not always the fastest.
candidates() {
    for name; do
        case $name in
        */*) echo "$name" ;;
        *)
            echo "$PATH" | tr ':' '\n' | while read -r folder; do
                [ ! -x "$folder/$name" ] || echo "$folder/$name"
            done
            ;;
        esac
    done
}

# Prints the candidates that fit, each interpreter once.
fitting() {
    seen=
    candidates "$@" | while read -r candidate; do
        real=$(readlink -f "$candidate" || echo "$candidate")
        case $seen in *"|$real|"*) continue ;; esac
        seen="$seen|$real|"
        ! pace "$candidate" > /dev/null || echo "$candidate"
    done
}

# Sets `chosen` to the fastest of the candidates and `found` to their number. They take turns, five each, and the best counts:
# a machine that is slow for a second is slow for all. One in twenty is no difference.
choose() {
    fitting=$(fitting "$@")
    turns=$(for _ in 1 2 3 4 5; do
        echo "$fitting" | while read -r candidate; do
            [ -z "$candidate" ] || echo "$(pace "$candidate") $candidate"
        done
    done)
    chosen= most=0 found=0
    spaces=$IFS
    IFS='
'
    for candidate in $fitting; do
        found=$((found + 1)) best=0
        for turn in $turns; do
            if [ "${turn#* }" = "$candidate" ] && [ "${turn%% *}" -gt "$best" ]; then
                best=${turn%% *}
            fi
        done
        if [ "$best" -gt $((most + most / 20)) ]; then
            chosen=$candidate most=$best
        fi
    done
    IFS=$spaces
}

environment() {
    if [ ! -w . ]; then
        echo "sayso: the set-up writes .venv beside the Makefile, and $(pwd) cannot be written: copy the checkout" >&2
        exit 1
    fi
    set -- python3.11 python3.12 python3.13 python3.14 python3
    [ -z "${PYTHON:-}" ] || set -- "$PYTHON"
    choose "$@"
    if [ -z "$chosen" ]; then
        echo "sayso: Python 3.11 or newer is needed, with its venv module; tried: $*" >&2
        exit 1
    fi
    [ "$found" -eq 1 ] && why= || why=", the fastest of $found here"
    echo "set-up: a virtual environment in .venv, with $("$chosen" --version) of $chosen$why"
    rm -rf .venv
    "$chosen" -m venv .venv
    echo "${PYTHON:-}" > .venv/chosen-python
    trust
    $pip install "uv==$uv_version" || echo "set-up: no uv $uv_version here; pip does its work, more slowly"
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
