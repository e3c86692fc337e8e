#!/bin/sh
# Compiles the pinned, hashed requirements from both pyproject.toml files. Pass --upgrade to move the pins.
set -eu
cd "$(dirname "$0")/.."
uv=.venv/bin/uv
compile="$uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header --no-emit-index-url"
$compile "$@" pyproject.toml -o requirements/runtime.txt
$compile "$@" pyproject.toml client/pyproject.toml --group dev -c requirements/runtime.txt -o requirements/dev.txt
echo hatchling | $compile "$@" - -c requirements/dev.txt -o requirements/build.txt
echo uv | $compile "$@" - -c requirements/dev.txt -o requirements/uv.txt
