#!/usr/bin/env bash
# Measures the built page in a real Chromium before a service with 5,000 tasks. BENCH_SECONDS says for how long (20).
set -euo pipefail
cd "$(dirname "$0")/.."
. ../../tests/common.sh
install_node_modules .
# Node.js 20 reads no TypeScript.
rm -rf node_modules/.tests
node_modules/.bin/tsc -p tsconfig.tests.json
exec node node_modules/.tests/bench/page.js
