#!/usr/bin/env bash
# Goes a newcomer's way from a fresh clone with only what README.md says: build, serve, a task seen done in the page; then
# the same from grpcurl and from Python. Prints the seconds of each step.
#
#   tests/newcomer.sh                   # builds in the clone, as a newcomer would: some minutes
#   tests/newcomer.sh --program FILE    # takes this program instead of building one: some seconds
#
# It runs the fenced blocks of README.md behind a line `<!-- newcomer: STEP -->`, STEP one of build, serve, grpcurl and
# python, in that order, each in a shell that goes on where the one before stopped.
#
# Needs Node.js, a Chromium, Python and grpcurl; a newcomer has them, and so this ends with 1 without them.
set -euo pipefail
cd "$(dirname "$0")/.."

tests/install.sh all
client=clients/page
if [ ! -e $client/node_modules/.package-lock.json ] || [ $client/package-lock.json -nt $client/node_modules/.package-lock.json ]; then
    (cd $client && npm ci --no-audit --no-fund --loglevel=error)
    touch $client/node_modules/.package-lock.json
fi
for name in chromium chromium-browser google-chrome google-chrome-stable; do
    [ -n "${CHROMIUM:-}" ] || CHROMIUM=$(command -v "$name" || true)
done
CHROMIUM=$CHROMIUM PATH=$PWD/target/tools/bin:$PATH exec node tests/newcomer.mjs "$@"
