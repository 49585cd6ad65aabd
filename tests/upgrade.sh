#!/bin/sh
# Builds the program of another commit, and tries an upgrade from it with tasks that run: upgrade.sh [COMMIT]
set -eu
cd "$(dirname "$0")/.."

old=${1:-$(git describe --tags --abbrev=0 HEAD^ 2>/dev/null || echo HEAD^)}
commit=$(git rev-parse --verify "$old^{commit}")
program=$PWD/target/old/$commit
if [ ! -x "$program" ]; then
    source=$(mktemp -d)
    trap 'rm -rf "$source"' EXIT
    git archive "$commit" | tar -x -C "$source"
    # Where this one is built too, so that of the two only what differs is built twice.
    target=$PWD/target
    (cd "$source" && cargo build --locked --quiet --target-dir "$target" --bin comet-task-runner)
    mkdir -p "$(dirname "$program")"
    mv "$target/debug/comet-task-runner" "$program"
fi
echo "upgrading from $old ($commit): $("$program" --version)"
COMET_TASK_RUNNER_OLD_BIN=$program cargo test --locked --test it upgrade::
