#!/usr/bin/env bash
# Tries the Python client before the real service (COMET_TASK_RUNNER_BIN, by default target/debug/comet-task-runner,
# which it does not build) with a stub for the browser.
#
# Without Python or a C compiler it says what was not run, and fails under CI=true.
set -euo pipefail
cd "$(dirname "$0")"
. tools/environment.sh
command -v cc >/dev/null || missing 'the tests before the real service, since there is no C compiler for the stub browser'

"$bin/pytest" -q --basetemp=../../target/tmp/python-client "$@"
