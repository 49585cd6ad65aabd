#!/usr/bin/env bash
# Three tasks at once in a real browser, and how each ends: by its page's word, by its page's closing, by an address
# that answers nobody. Ends with 0 when all three end as they should, and leaves nothing behind.
set -euo pipefail
# A process group for each background job, so that Ctrl-C reaches this script alone and it can end the rest in order.
set -m
cd "$(dirname "$0")/.."

tests/install.sh browser

# A debug build: a cold one takes 140 s of processor time, a release build 320 s, and a demo needs no speed.
echo "building (a debug build, the quickest) ..."
cargo build --quiet --locked --bin comet-task-runner --example demo_pages
target=${CARGO_TARGET_DIR:-target}
program=$target/debug/comet-task-runner

# Short, as the paths of sockets below it must be.
work=$(mktemp -d /tmp/ctr-demo.XXXXXX)
service=
tasks=()
finish() {
    set +e
    local task
    # Cut short: each `run` cancels its task on this signal, and ends when nothing of it is left.
    for task in "${tasks[@]}"; do
        kill -INT -- "-$task" 2>/dev/null && wait "$task" 2>/dev/null
    done
    await_gone
    if [ -n "$service" ]; then
        kill -TERM "$service" 2>/dev/null
        wait "$service" 2>/dev/null
    fi
    if [ -n "${pages_PID:-}" ]; then
        exec {pages[1]}>&-
        wait "$pages_PID" 2>/dev/null
    fi
    rm -rf "$work"
}

# A task can be over before the last of its browser is gone. What a running browser needs lies in a directory that
# goes with it, so an empty one says that nothing of it outlives the demo.
await_gone() {
    local tenth
    for tenth in $(seq 100); do
        compgen -G "$work/ctr-*/*" >/dev/null || return 0
        sleep 0.1
    done
    echo "a browser does not leave: $work" >&2
}

trap finish EXIT
trap 'exit 130' INT TERM

sandbox=()
if [ "$(id -u)" = 0 ]; then
    echo "running as root, where Chromium's sandbox refuses to start: the browser gets --no-sandbox"
    sandbox=(--no-sandbox)
fi

# The pages live as long as this script holds their standard input.
coproc pages { exec "$target/debug/examples/demo_pages" demo/pages; }
read -r -u "${pages[0]}" pages_url refusing_url

mkfifo "$work/said"
COMET_TASK_RUNNER_RUN_DIR=$work "$program" serve --listen 127.0.0.1:0 --state-dir "$work/state" --slots 3 ${sandbox[@]+"${sandbox[@]}"} \
    >"$work/said" 2>"$work/log" &
service=$!
if ! read -r said <"$work/said"; then
    echo "the service did not start:" >&2
    cat "$work/log" >&2
    exit 1
fi
echo "the service is $said"
echo

# Runs one task, with its name before each line, and keeps the lines and the exit code.
task() {
    local name=$1 url=$2 code=0 line
    set +e
    "$program" run "$url" --state-dir "$work/state" --after-finish close 2>"$work/$name.words" |
        while IFS= read -r line; do
            printf '%-9s %s\n' "$name" "$line"
            printf '%s\n' "$line" >>"$work/$name.lines"
        done
    code=${PIPESTATUS[0]}
    set -e
    echo "$code" >"$work/$name.code"
}

task reports "$pages_url/reports.html" & tasks+=($!)
task closes "$pages_url/closes.html" & tasks+=($!)
task refused "$refusing_url/" & tasks+=($!)
wait "${tasks[@]}"
tasks=()

# Compares a task's end with what it should be.
wrong=0
expect() {
    local name=$1 code=$2 status=$3 reason=$4 words=$5 last
    last=$(tail -n 1 "$work/$name.lines" 2>/dev/null || true)
    if [ "$(cat "$work/$name.code")" = "$code" ] && [[ $last == *" $status "*" $reason "*"$words"* ]]; then
        printf 'ok     %-9s ended as %s, %s\n' "$name" "$status" "$reason"
    else
        printf 'WRONG  %-9s should end as %s, %s with exit code %s\n' "$name" "$status" "$reason" "$code"
        cat "$work/$name.words"
        wrong=1
    fi
}
echo
expect reports 0 DONE CALLBACK '"seconds":2'
expect closes 0 DONE PAGE_CLOSED ''
expect refused 1 FAILED NAVIGATION_FAILED net::ERR_CONNECTION_REFUSED
if [ "$wrong" != 0 ]; then
    echo "the service said:" >&2
    cat "$work/log" >&2
fi
exit "$wrong"
