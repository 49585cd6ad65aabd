#!/usr/bin/env bash
# Tries the page: its parts in Node.js, then the built files in a real browser, before a faulty service and before the
# real one (COMET_TASK_RUNNER_BIN, by default target/debug/comet-task-runner). Builds neither.
#
# Without Node.js or Chromium it says what was not run, and fails under CI=true.
set -euo pipefail
cd "$(dirname "$0")"
. ../../tests/common.sh
command -v node >/dev/null || missing 'Node.js is not installed'
command -v npm >/dev/null || missing 'npm is not installed'
node_is 20 || missing 'Node.js is older than 20'

install_node_modules .

# Node.js 20 reads no TypeScript.
rm -rf node_modules/.tests
node_modules/.bin/tsc -p tsconfig.tests.json

# A call's timer of the library keeps Node.js up for a minute after the last test.
run() { node --test --test-force-exit --test-concurrency=1 --test-reporter="${REPORTER:-spec}" "$@"; }
run node_modules/.tests/tests/unit/*.test.js

find_chromium
[ -n "$CHROMIUM" ] || missing 'the tests in a browser, since there is no Chromium'
run node_modules/.tests/tests/browser/*.test.js
