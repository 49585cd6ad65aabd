#!/usr/bin/env bash
# Tries the page's client in a real Chromium before the real service (COMET_TASK_RUNNER_BIN, by default
# target/debug/comet-task-runner) and the stub browser of its tests (target/tmp/stub_browser). Builds neither.
#
# Without Node.js, Chromium or these two it says what was not run, and fails under CI=true.
set -euo pipefail
cd "$(dirname "$0")"

missing() {
    echo "clients/page/test.sh: not run: $1" >&2
    [ "${CI:-}" = true ] && exit 1
    exit 0
}
command -v npm >/dev/null || missing 'Node.js with npm is not installed'
node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' || missing 'Node.js is older than 20'
for name in chromium chromium-browser google-chrome google-chrome-stable; do
    [ -n "${CHROMIUM:-}" ] || CHROMIUM=$(command -v "$name" || true)
done
[ -n "$CHROMIUM" ] || missing 'there is no Chromium'
[ -x "${COMET_TASK_RUNNER_BIN:-../../target/debug/comet-task-runner}" ] || missing 'the service is not built: cargo build'
[ -x ../../target/tmp/stub_browser ] || missing 'the stub browser is not built: cargo test --test it readme'

if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci --no-audit --no-fund --loglevel=error
    touch node_modules/.package-lock.json
fi
CHROMIUM=$CHROMIUM node --test --test-concurrency=1 --test-reporter="${REPORTER:-spec}" tests/*.test.mjs
