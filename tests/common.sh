# Read by the scripts that check and try the clients, in bash with `set -euo pipefail`.

# What this script needs is not there: said, and no error but under CI=true.
missing() {
    echo "${0#"$PWD/"}: not run: $1" >&2
    [ "${CI:-}" = true ] && exit 1
    exit 0
}

# True when Node.js is of this version or later: node_is MAJOR [MINOR].
node_is() {
    node -e 'const [is, wanted] = [process.versions.node, process.argv[1]].map((text) => text.split(".").map(Number));
        process.exit(is[0] > wanted[0] || (is[0] === wanted[0] && is[1] >= (wanted[1] ?? 0)) ? 0 : 1)' "$1.${2:-0}"
}

# Installs what the lock file of a folder says, when it is not what is installed: install_node_modules FOLDER [NPM-FLAG ...].
install_node_modules() {
    local folder=$1
    local stamp=$folder/node_modules/.package-lock.json
    if [ ! -e "$stamp" ] || [ "$folder/package-lock.json" -nt "$stamp" ]; then
        (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error "${@:2}")
        touch "$stamp"
    fi
}

# Leaves in CHROMIUM, for whatever is started too, the Chromium of this machine, unless one is named there; empty for none.
find_chromium() {
    local name
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        [ -n "${CHROMIUM:-}" ] || CHROMIUM=$(command -v "$name" || true)
    done
    export CHROMIUM
}
