#!/usr/bin/env bash
# Follows twenty tasks with every client and with the page while the service is killed five times. Builds nothing: the
# program and the stub browser are those of `cargo test`, the clients those that their own test.sh made.
#
# Without Node.js, Chromium or one of these it says what was not run, and fails under CI=true.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/common.sh
command -v node >/dev/null || missing 'Node.js is not installed'
for made in target/tools/python-client/bin/python clients/node/dist/index.js clients/web/node_modules/playwright-core \
    "${COMET_TASK_RUNNER_BIN:-target/debug/comet-task-runner}" target/tmp/stub_browser; do
    [ -e "$made" ] || missing "$made is not made yet"
done
find_chromium
[ -n "$CHROMIUM" ] || missing 'there is no Chromium'
exec node tests/storm/storm.mjs
