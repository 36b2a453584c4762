#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Unpacks libnbd of Debian 13 (trixie) and everything it links to under one folder, so that a newer peer than
# the machine's own can be run through its own loader. Needs apt and dpkg-deb, neither root nor a chroot.
#
#   tests/peers/trixie.sh target/peers-trixie
#
# Idempotent: a folder that is complete is left as it is. The mirror is the one apt already uses.

set -eu

suite=trixie
packages=libnbd-bin
root=${1:?usage: trixie.sh FOLDER}

if [ -e "$root/complete" ]; then
    exit 0
fi
command -v apt-get >/dev/null || { echo "trixie.sh: needs apt-get" >&2; exit 1; }
command -v dpkg-deb >/dev/null || { echo "trixie.sh: needs dpkg-deb" >&2; exit 1; }

mkdir -p "$root"
root=$(cd "$root" && pwd)
apt=$root/apt
rm -rf "$apt" "$root/usr" "$root/lib" "$root/lib64" "$root/bin" "$root/sbin"
mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$root/usr"
: >"$apt/status"

# The first archive of Debian proper which this machine knows, in either format of apt's lists.
mirror=$(
    cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
        sed -nE -e 's/^URIs:[[:space:]]*([^[:space:]]+).*/\1/p' \
            -e 's/^deb[[:space:]]+(\[[^]]*\][[:space:]]+)?([^[:space:]]+).*/\2/p' |
        grep -E '/debian/?$' | head -n 1
)
[ -n "$mirror" ] || { echo "trixie.sh: no Debian mirror in /etc/apt" >&2; exit 1; }
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring] $mirror $suite main" >"$apt/sources.list"

# A private apt: its own lists, cache and (empty) package database; the machine's stays untouched.
private_apt() {
    apt-get -qq \
        -o Dir::State="$apt" -o Dir::State::lists="$apt/lists" -o Dir::State::status="$apt/status" \
        -o Dir::Cache="$apt" -o Dir::Cache::archives="$apt/archives" \
        -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::preferencesparts=/dev/null -o APT::Install-Recommends=false \
        -o APT::Sandbox::User= -o DPkg::Post-Invoke= -o APT::Update::Post-Invoke= \
        "$@"
}
private_apt update >&2
private_apt --yes --download-only install "$packages" >&2

# A merged /usr, as trixie has it.
for dir in bin sbin lib lib64; do
    mkdir -p "$root/usr/$dir"
    ln -s "usr/$dir" "$root/$dir"
done
for deb in "$apt"/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -C "$root" -x --keep-directory-symlink --exclude='./usr/share/*'
done

# The tests run it in just this way.
"$root"/lib64/ld-linux-*.so.* --library-path "$(echo "$root"/usr/lib/*-linux-gnu)" "$root/usr/bin/nbdinfo" --version >&2
rm -rf "$apt"
: >"$root/complete"
