#!/usr/bin/env bash
# Takes the pictures of the page that the README shows, docs/dashboard.png and docs/dashboard-dark.png: the real service
# (COMET_TASK_RUNNER_BIN, by default target/debug/comet-task-runner), real tasks in a real Chromium, one in each state.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/common.sh

missing() {
    echo "docs/picture.sh: $1" >&2
    exit 1
}
command -v npm >/dev/null || missing 'Node.js with npm is not installed'
find_chromium
[ -n "$CHROMIUM" ] || missing 'there is no Chromium'
[ -x "${COMET_TASK_RUNNER_BIN:-target/debug/comet-task-runner}" ] || missing 'the service is not built: cargo build'
install_node_modules clients/page

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
node docs/picture.mjs "$work"

# A page of few colours takes a third of the room with a palette of them.
pillow=target/tools/pillow
if [ ! -x $pillow/bin/python ] && command -v python3 >/dev/null; then
    python3 -m venv $pillow && $pillow/bin/pip --quiet --disable-pip-version-check install 'pillow==13.0.0' || rm -rf $pillow
fi
for picture in dashboard dashboard-dark; do
    if [ -x $pillow/bin/python ]; then
        $pillow/bin/python - "$work/$picture.png" "docs/$picture.png" <<'PYTHON'
import sys
from PIL import Image
picture = Image.open(sys.argv[1]).convert("RGB")
# The commonest colours, so that surfaces stay what they are; those on the rims of letters go to the nearest of them.
commonest = sorted(picture.getcolors(picture.width * picture.height), reverse=True)[:256]
palette = Image.new("P", (1, 1))
palette.putpalette([part for _, colour in commonest for part in colour])
picture.quantize(palette=palette, dither=Image.Dither.NONE).save(sys.argv[2], optimize=True)
PYTHON
    else
        echo 'docs/picture.sh: without Python the pictures keep all their colours, and are larger' >&2
        cp "$work/$picture.png" "docs/$picture.png"
    fi
    kib=$(($(wc -c <"docs/$picture.png") / 1024))
    echo "docs/$picture.png: $kib KiB"
    # Whoever reads the README on a telephone loads it.
    [ "$kib" -lt 300 ] || missing "that is more than 300 KiB"
done
