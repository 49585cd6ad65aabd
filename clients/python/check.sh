#!/usr/bin/env bash
# Checks that the Python client is well formed and well typed, and that what is made of the contract, and the blocking
# client of the asynchronous one, is up to date. `clients/python/check.sh --write` brings it up to date.
set -euo pipefail
cd "$(dirname "$0")"
. tools/environment.sh

package=src/comet_task_runner
made=(contract.binpb messages.py _runner.py)

# Leaves in $1 what the sources make.
make_into() {
    "$bin/python" tools/make.py ../../proto $package "$1"
    "$bin/ruff" format --quiet --config pyproject.toml "$1"/messages.py "$1"/_runner.py
    "$bin/ruff" check --quiet --config pyproject.toml --select I --fix "$1"/messages.py "$1"/_runner.py
}

if [ "${1:-}" = --write ]; then
    make_into $package
    "$bin/ruff" format --quiet
    exit
fi

"$bin/ruff" check --quiet
"$bin/ruff" format --quiet --check
"$bin/mypy" --no-error-summary

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
make_into "$fresh"
stale=0
for file in "${made[@]}"; do
    if ! cmp -s "$fresh/$file" "$package/$file"; then
        echo "clients/python/$package/$file is not what its sources make; run clients/python/check.sh --write and commit it" >&2
        stale=1
    fi
done
exit "$stale"
