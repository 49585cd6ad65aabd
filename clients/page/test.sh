#!/usr/bin/env bash
# Tries the page's client in a real Chromium before the real service (COMET_TASK_RUNNER_BIN, by default
# target/debug/comet-task-runner) and the stub browser of its tests (target/tmp/stub_browser). Builds neither.
#
# Without Node.js, Chromium or these two it says what was not run, and fails under CI=true.
set -euo pipefail
cd "$(dirname "$0")"
. ../../tests/common.sh
command -v npm >/dev/null || missing 'Node.js with npm is not installed'
node_is 20 || missing 'Node.js is older than 20'
find_chromium
[ -n "$CHROMIUM" ] || missing 'there is no Chromium'
[ -x "${COMET_TASK_RUNNER_BIN:-../../target/debug/comet-task-runner}" ] || missing 'the service is not built: cargo build'
[ -x ../../target/tmp/stub_browser ] || missing 'the stub browser is not built: cargo test --test it readme'

install_node_modules .
node --test --test-concurrency=1 --test-reporter="${REPORTER:-spec}" tests/*.test.mjs
