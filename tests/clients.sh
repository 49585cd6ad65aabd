#!/usr/bin/env bash
# Tries every client before the built service, one after another, and says how long each took. Builds nothing of Rust.
set -euo pipefail
cd "$(dirname "$0")/.."

for test in clients/*/test.sh tests/storm/test.sh; do
    echo "== $test"
    began=$SECONDS
    "$test"
    echo "== $test took $((SECONDS - began)) s"
done
