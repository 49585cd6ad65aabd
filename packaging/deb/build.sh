#!/bin/sh
# Makes a Debian package of a built program: build.sh PROGRAM DIRECTORY. Takes dpkg-deb and binutils, and no root.
# COMPRESSION: what dpkg-deb -Z takes; xz unless given.
set -eu
program=$(realpath "$1")
out=$(realpath "$2")
cd "$(dirname "$0")/../.."

name=comet-task-runner
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
architecture=$(dpkg --print-architecture)
maintainer=${MAINTAINER:-Comet Task Runner <root@localhost>}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 0755 "$root"
umask 022

put() { # MODE SOURCE TARGET
    install -D -m "$1" "$2" "$root$3"
}
put 0755 "$program" /usr/bin/$name
strip --strip-unneeded "$root/usr/bin/$name"
put 0644 packaging/systemd/$name.service /usr/lib/systemd/system/$name.service
put 0644 packaging/systemd/$name.socket /usr/lib/systemd/system/$name.socket
put 0644 packaging/systemd/user/$name.service /usr/lib/systemd/user/$name.service
put 0644 packaging/systemd/$name.sysusers /usr/lib/sysusers.d/$name.conf

doc=/usr/share/doc/$name
put 0644 README.md $doc/README.md
for page in api configuration metrics operating tasks; do put 0644 "docs/$page.md" "$doc/docs/$page.md"; done
# The same links, to where these things are once they are installed.
sed -i 's#\.\./packaging/#../examples/#g; s#](\.\./packaging)#](../examples)#g' "$root$doc/docs/metrics.md" "$root$doc/docs/operating.md"
put 0644 proto/comet/taskrunner/v1/task_runner.proto $doc/proto/comet/taskrunner/v1/task_runner.proto
for file in packaging/grafana/* packaging/prometheus/*; do put 0644 "$file" "$doc/examples/${file#packaging/}"; done
gzip -9n <CHANGELOG.md >"$root$doc/changelog.gz"
{
    echo 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/'
    printf '\nFiles: *\nCopyright: the authors of Comet Task Runner\nLicense: Apache-2.0\n'
    printf ' On Debian systems the whole text is in /usr/share/common-licenses/Apache-2.0.\n'
} >"$root$doc/copyright"
chmod 0644 "$root$doc/changelog.gz" "$root$doc/copyright"

# What the program itself can print: a configuration to begin with, and where it has the verbs, its manual and the
# completion of its arguments.
mkdir -p "$root/etc/$name"
"$program" reference config-file >"$root/etc/$name/config.toml"
verbs=$("$program" --help)
if printf '%s' "$verbs" | grep -q '^  man\b'; then
    mkdir -p "$root/usr/share/man/man1"
    if ! "$program" man --help | grep -q '<DIR'; then
        "$program" man >"$root/usr/share/man/man1/$name.1"
    else
        "$program" man "$root/usr/share/man/man1" >/dev/null
    fi
    gzip -9n "$root"/usr/share/man/man1/*.1
fi
if printf '%s' "$verbs" | grep -q '^  completions\b'; then
    complete() { # SHELL TARGET
        mkdir -p "$root$(dirname "$2")"
        "$program" completions "$1" >"$root$2"
    }
    complete bash /usr/share/bash-completion/completions/$name
    complete zsh /usr/share/zsh/vendor-completions/_$name
    complete fish /usr/share/fish/vendor_completions.d/$name.fish
fi

libc=$(objdump -T "$root/usr/bin/$name" | sed -n 's/.*GLIBC_\([0-9.]*\).*/\1/p' | sort -V | tail -n 1)
mkdir "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<CONTROL
Package: $name
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f 1)
Depends: libc6 (>= $libc), libgcc-s1
Recommends: chromium | www-browser, systemd | systemd-sysusers
Section: net
Priority: optional
Description: opens URLs as tasks in browsers and pushes how they end
 A service that opens a URL as a task in a browser process, knows how and why it
 ends, and pushes every change of its state to whoever watches: over gRPC,
 grpc-web, JSON, and a page of its own. Nobody polls.
CONTROL
echo "/etc/$name/config.toml" >"$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do put 0755 packaging/deb/$script /DEBIAN/$script; done
(cd "$root" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"

package=$out/${name}_${version}_$architecture.deb
dpkg-deb --root-owner-group -Z"${COMPRESSION:-xz}" --build "$root" "$package" >/dev/null
echo "$package"
