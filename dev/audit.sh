#!/bin/sh
# Look for known vulnerabilities in the pinned dependencies, careless code, and workflows that give too much away.
# The first needs the network, and its answer changes from day to day: no part of `make check`.
set -u
cd "$(dirname "$0")/.."
bin=.venv/bin
failed=

for pins in requirements/runtime.txt requirements/dev.txt; do
    echo "== $pins"
    # Strict: a package that can't be looked up fails the audit, too.
    "$bin/pip-audit" --strict --require-hashes --disable-pip --progress-spinner off -r "$pins" || failed="$failed $pins"
done

echo "== code"
"$bin/ruff" check --select S admin api client shared worker || failed="$failed code"

echo "== .github"
"$bin/zizmor" --offline --no-progress .github || failed="$failed .github"

if [ -n "$failed" ]; then
    echo "make audit: failed for$failed: a finding, or a look-up that did not work (see above)" >&2
    exit 1
fi
