#!/bin/sh
# Validates docker-compose.yml against the schema of the compose specification. Needs no Docker and no network.
set -eu
cd "$(dirname "$0")/.."
.venv/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
