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
. tests/common.sh

tests/install.sh all
install_node_modules clients/page
find_chromium
PATH=$PWD/target/tools/bin:$PATH exec node tests/newcomer.mjs "$@"
