#!/usr/bin/env bash
# Runs every line of README.md before the real service (COMET_TASK_RUNNER_BIN, by default
# target/debug/comet-task-runner) with a real browser on a display of its own. Builds nothing.
#
# Without grpcurl, Python, a Chromium, Xvfb and openbox it says what was not run, and fails under CI=true.
set -euo pipefail
cd "$(dirname "$0")"
. ../../tests/common.sh
PATH=$(cd ../.. && pwd)/target/tools/bin:$PATH
for program in python3 grpcurl Xvfb openbox; do
    command -v "$program" >/dev/null || missing "$program is not installed; tests/install.sh all installs it"
done
find_chromium
[ -n "$CHROMIUM" ] || missing 'there is no Chromium'
program=${COMET_TASK_RUNNER_BIN:-$(cd ../.. && pwd)/target/debug/comet-task-runner}
[ -x "$program" ] || missing 'the service is not built: cargo build'
COMET_TASK_RUNNER_BIN=$program PYTHONDONTWRITEBYTECODE=1 exec python3 test.py
