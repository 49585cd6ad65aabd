#!/bin/sh
# Builds the program of another commit, and tries an upgrade from it with tasks that run: upgrade.sh [COMMIT]
set -eu
cd "$(dirname "$0")/.."

old=${1:-$(git describe --tags --abbrev=0 HEAD^ 2>/dev/null || echo HEAD^)}
commit=$(git rev-parse --verify "$old^{commit}")
# One directory for all of them, so that what did not change between two is built once.
target=$PWD/target/old
program=$target/$commit
if [ ! -x "$program" ]; then
    source=$(mktemp -d)
    trap 'rm -rf "$source"' EXIT
    git archive "$commit" | tar -x -C "$source"
    (cd "$source" && CARGO_TARGET_DIR=$target cargo build --locked --quiet --bin comet-task-runner)
    mv "$target/debug/comet-task-runner" "$program"
fi
echo "upgrading from $old ($commit): $("$program" --version)"
COMET_TASK_RUNNER_OLD_BIN=$program cargo test --locked --test it upgrade::
