#!/usr/bin/env bash
# Checks the contract's style, and that docs/api.md is what the contract makes.
# `proto/check.sh --write` brings that page up to date: run it after each change of the contract, and commit.
set -euo pipefail
cd "$(dirname "$0")"
. ../tests/common.sh

install_node_modules .
page=../docs/api.md
fresh=$(mktemp)
trap 'rm -f "$fresh"' EXIT

node_modules/.bin/buf lint
node_modules/.bin/buf build -o -#format=json | node reference.mjs >"$fresh"
if [ "${1:-}" = --write ]; then
    mkdir -p ../docs
    cp "$fresh" "$page"
    chmod 644 "$page"
elif ! diff -u "$page" "$fresh" >&2; then
    echo "docs/api.md is not what the contract makes; run proto/check.sh --write and commit it" >&2
    exit 1
fi
