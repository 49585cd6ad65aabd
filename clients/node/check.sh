#!/usr/bin/env bash
# Checks that the client for Node.js is well typed, and that its generated code is that of the contract.
# `clients/node/check.sh --write` makes that code anew.
set -euo pipefail
cd "$(dirname "$0")"
. ../../tests/common.sh
command -v npm >/dev/null || missing 'npm is not installed'

install_node_modules . --ignore-scripts
install_node_modules ../../proto --ignore-scripts

# Leaves below $1, in the same place as here, what the contract makes.
make_into() {
    (cd ../../proto && node_modules/.bin/buf generate --template ../clients/node/buf.gen.yaml -o "$1/proto")
}

if [ "${1:-}" = --write ]; then
    rm -rf src/gen
    make_into ../
    exit
fi

node_modules/.bin/tsc --noEmit

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
mkdir "$fresh/proto"
make_into "$fresh"
if ! diff -rq "$fresh/clients/node/src/gen" src/gen >&2; then
    echo 'clients/node/src/gen is not what the contract makes; run clients/node/check.sh --write and commit it' >&2
    exit 1
fi
