#!/bin/sh
# Validate docker-compose.yml and what stands in .github/ against the schemas that check-jsonschema
# brings along. Needs neither Docker nor a network.
set -eu
cd "$(dirname "$0")/.."

validate() { .venv/bin/check-jsonschema --builtin-schema "$@"; }

validate vendor.compose-spec docker-compose.yml
validate vendor.github-workflows .github/workflows/*.yml
validate vendor.dependabot .github/dependabot.yml
.venv/bin/pre-commit validate-config .pre-commit-config.yaml
