#!/usr/bin/env bash
# Tries the page: its parts in Node.js, then the built files in a real browser, before a faulty service and before the
# real one (COMET_TASK_RUNNER_BIN, by default target/debug/comet-task-runner). Builds neither.
#
# Without Node.js or Chromium it says what was not run, and fails under CI=true.
set -euo pipefail
cd "$(dirname "$0")"

missing() {
    echo "clients/web/test.sh: not run: $1" >&2
    [ "${CI:-}" = true ] && exit 1
    exit 0
}
command -v node >/dev/null || missing 'Node.js is not installed'
command -v npm >/dev/null || missing 'npm is not installed'
node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' || missing 'Node.js is older than 20'

if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci --no-audit --no-fund --loglevel=error
    touch node_modules/.package-lock.json
fi

# Node.js 20 reads no TypeScript.
rm -rf node_modules/.tests
node_modules/.bin/tsc -p tsconfig.tests.json

# A call's timer of the library keeps Node.js up for a minute after the last test.
run() { node --test --test-force-exit --test-concurrency=1 --test-reporter="${REPORTER:-spec}" "$@"; }
run node_modules/.tests/tests/unit/*.test.js

browser=${CHROMIUM:-}
for name in chromium chromium-browser google-chrome google-chrome-stable; do
    [ -n "$browser" ] || browser=$(command -v "$name" || true)
done
[ -n "$browser" ] || missing 'the tests in a browser, since there is no Chromium'
CHROMIUM=$browser run node_modules/.tests/tests/browser/*.test.js
