#!/bin/sh
# Asks whether the pinned dependencies have known holes, and looks for careless code. Needs the network for the first,
# whose answer changes from day to day: no part of `make check`.
set -u
cd "$(dirname "$0")/.."
bin=.venv/bin
failed=

for pins in requirements/runtime.txt requirements/dev.txt; do
    echo "== $pins"
    # Strict: a package that can't be asked about fails it, too.
    "$bin/pip-audit" --strict --require-hashes --disable-pip --progress-spinner off -r "$pins" || failed="$failed $pins"
done

echo "== code"
"$bin/ruff" check --select S admin api client shared worker || failed="$failed code"

if [ -d .github/workflows ]; then
    echo "== .github/workflows"
    "$bin/uvx" zizmor@1.32.0 .github/workflows || failed="$failed .github/workflows"
fi

if [ -n "$failed" ]; then
    echo "make audit: failed for$failed. Something is wrong there, or could not be asked about: see above" >&2
    exit 1
fi
