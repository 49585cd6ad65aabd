#!/usr/bin/env bash
# Checks that the page is well typed, and that its generated code and its built files are those of its sources.
# `clients/web/check.sh --write` brings both up to date.
set -euo pipefail
cd "$(dirname "$0")"
. ../../tests/common.sh

install_node_modules .
install_node_modules ../../proto

# Leaves below $1, in the same places as here, what the sources make.
make_into() {
    (cd ../../proto && node_modules/.bin/buf generate -o "$1/proto")
    node_modules/.bin/vite build --logLevel warn --outDir "$1/clients/web/dist"
}

if [ "${1:-}" = --write ]; then
    rm -rf src/gen
    (cd ../../proto && node_modules/.bin/buf generate)
    node_modules/.bin/vite build --logLevel warn
    exit
fi

node_modules/.bin/tsc --noEmit

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
mkdir "$fresh/proto"
make_into "$fresh"
stale=0
for made in src/gen dist; do
    if ! diff -rq "$fresh/clients/web/$made" "$made" >&2; then
        echo "clients/web/$made is not what its sources make; run clients/web/check.sh --write and commit it" >&2
        stale=1
    fi
done
exit "$stale"
