#!/usr/bin/env bash
# Checks that README.md has a line for every call of the contract, and that its lines are well formed.
set -euo pipefail
cd "$(dirname "$0")"

bad=0
for call in $(sed -n 's/^ *rpc \([A-Za-z]*\)(.*/\1/p' ../../proto/comet/taskrunner/v1/task_runner.proto); do
    grep -qE "comet\.taskrunner\.v1\.TaskRunner/$call\b" README.md && continue
    echo "clients/grpcurl/README.md has no line for $call" >&2
    bad=1
done
awk '/^```$/ { inside = 0 } inside; /^```sh$/ { inside = 1 }' README.md | sh -n || bad=1
exit "$bad"
