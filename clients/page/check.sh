#!/usr/bin/env bash
# Checks that the page's client is less than 2 kB, and is what its types say.
set -euo pipefail
cd "$(dirname "$0")"
. ../../tests/common.sh

size=$(wc -c <comet-task.js)
if [ "$size" -gt 2048 ]; then
    echo "clients/page/comet-task.js has $size bytes, and 2048 are promised" >&2
    exit 1
fi
command -v npm >/dev/null || missing 'the check of its types, since Node.js with npm is not installed'
install_node_modules .

# The module as it is, apart from the types that are declared beside it.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp comet-task.js "$work/is.js"
cp comet-task.d.ts "$work/declared.d.ts"
echo '{ "type": "module" }' >"$work/package.json"
cat >"$work/same.ts" <<'TS'
import * as is from './is.js';
import type * as declared from './declared.js';
export const same: typeof declared = is;
const task = same.cometTask('https://tasks.example.org:50051');
export const stops: Promise<boolean>[] = [task.progress(40, 'reading'), task.done({ pages: 3 }), task.done(), task.fail('no')];
// @ts-expect-error A percentage is a number.
void task.progress('40');
TS
# window.cometTask is the browser's gift, and no type of the language.
echo 'declare global { interface Window { cometTask?: Record<string, (...args: unknown[]) => undefined> } } export {};' >"$work/window.d.ts"
node_modules/.bin/tsc --noEmit --strict --allowJs --module nodenext --target es2024 --lib es2024,dom --types '' \
    "$work/same.ts" "$work/window.d.ts"
