#!/bin/sh
# Makes .venv with the pinned dependencies, the service and its client. Needs a Python of any kind to bring uv,
# and finds (or lets uv fetch) the one that UV_PYTHON names, else the one in .python-version, else any from 3.12 on.
set -eu
cd "$(dirname "$0")/.."

find_uv() {
    if uv --version >/dev/null 2>&1; then echo uv; return; fi
    if .venv-uv/bin/uv --version >/dev/null 2>&1; then echo .venv-uv/bin/uv; return; fi
    for python in python3 python3.13 python3.12 /usr/bin/python3 python; do
        if "$python" -m venv .venv-uv >/dev/null 2>&1 &&
            .venv-uv/bin/python -m pip install --quiet --require-hashes -r requirements/uv.txt 1>&2; then
            echo .venv-uv/bin/uv; return
        fi
        rm -rf .venv-uv
    done
    echo "make install: uv is missing and no Python with venv and pip was found to bring it" >&2
    exit 1
}

uv=$(find_uv)
if [ -n "${UV_PYTHON:-}" ]; then
    "$uv" venv --quiet --clear .venv
elif ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then
    "$uv" venv --quiet --clear .venv 2>/dev/null || "$uv" venv --quiet --clear --python '>=3.12' .venv
fi
# Compiled once, here: otherwise each process compiles what it imports where PYTHONDONTWRITEBYTECODE is set.
"$uv" pip sync --quiet --compile-bytecode --python .venv/bin/python --require-hashes requirements/dev.txt
"$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e . -e ./client
touch .venv/.installed
