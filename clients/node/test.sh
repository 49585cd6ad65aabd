#!/usr/bin/env bash
# Tries the client for Node.js: before a service that follows a script, then before the real one
# (COMET_TASK_RUNNER_BIN, by default target/debug/comet-task-runner) with the stub browser. Builds neither.
#
# Without Node.js it says that nothing was run, and without the service what was not; under CI=true it fails.
set -euo pipefail
cd "$(dirname "$0")"
. ../../tests/common.sh
command -v node >/dev/null || missing 'Node.js is not installed'
command -v npm >/dev/null || missing 'npm is not installed'
node_is 20 18 || missing 'Node.js is older than 20.18'

install_node_modules . --ignore-scripts

# The Rust tests leave it; whoever runs only these has it made here.
stub=../../target/tmp/stub_browser
if [ ! -x "$stub" ] && command -v cc >/dev/null; then
    stub=../../target/tools/node/stub_browser
    mkdir -p "$(dirname "$stub")"
    cc -O2 -static -o "$stub" ../../tests/support/stub_browser.c
fi
[ ! -x "$stub" ] || export COMET_TASK_RUNNER_STUB="$(cd "$(dirname "$stub")" && pwd)/stub_browser"

# As it is installed, for the README and the examples; and the tests, since Node.js 20 reads no TypeScript.
rm -rf dist .tests
npm run --silent build
node_modules/.bin/tsc -p tsconfig.tests.json

# One file after another: the machine may have few processors, and the tests have deadlines. None takes a minute.
run() { node --test --test-concurrency=1 --test-timeout=60000 --test-reporter="${REPORTER:-spec}" "$@"; }
run .tests/tests/unit/*.test.js

program=${COMET_TASK_RUNNER_BIN:-../../target/debug/comet-task-runner}
[ -x "$program" ] || missing "the tests before the real service, since $program is not there: cargo build"
[ -x "$stub" ] || missing 'the tests before the real service, since there is no C compiler for its stub browser'
run .tests/tests/service/*.test.js
