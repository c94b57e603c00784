#!/bin/bash
# Both Docker versions and registry 2, as unpacked Debian packages: OUT/docker-20, OUT/docker-28, OUT/registry-2.
# The newer ones come from the archive of the machine's own mirror, with an apt state of its own, so that the
# machine's sources stay as they are. Its runc is too new for this machine's libc: both versions share one.
set -euo pipefail
: "${OUT:?}"
old=20.10.24 new=28.5.2 suite=forky

apt="$OUT/apt"
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$OUT/debs/20" "$OUT/debs/28"
# shellcheck disable=SC2016  # apt's own placeholders
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | head -n 1)
if [ -z "$mirror" ]; then
    echo "this machine has no Debian package source; the lab is made from Debian packages" >&2
    exit 1
fi
echo "deb $mirror $suite main" >"$apt/sources.list"
cat >"$apt/apt.conf" <<CONF
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State::lists "$apt/lists";
Dir::State::status "/dev/null";
Dir::Cache "$apt/cache";
Acquire::Languages "none";
APT::Sandbox::User "root";
CONF
newer() { APT_CONFIG="$apt/apt.conf" apt-get -q "$@"; }

newer update
(cd "$OUT/debs/28" && newer download docker.io docker-cli containerd docker-registry)
(cd "$OUT/debs/20" && apt-get -q -o APT::Sandbox::User=root download docker.io containerd runc tini)

has() { # has DEB VERSION
    local found
    found=$(dpkg-deb -f "$1" Version)
    if [[ "$found" != "$2"* ]]; then
        echo "the Debian archive now has $(basename "$1") and not version $2: set the version in $0" >&2
        exit 1
    fi
}
has "$OUT"/debs/20/docker.io_*.deb "$old"
has "$OUT"/debs/28/docker.io_*.deb "$new"

for deb in "$OUT"/debs/20/*.deb; do dpkg-deb -x "$deb" "$OUT/docker-20"; done
for deb in "$OUT"/debs/28/{docker.io,docker-cli,containerd}_*.deb; do dpkg-deb -x "$deb" "$OUT/docker-28"; done
for deb in "$OUT"/debs/20/{runc,tini}_*.deb; do dpkg-deb -x "$deb" "$OUT/docker-28"; done
dpkg-deb -x "$OUT"/debs/28/docker-registry_*.deb "$OUT/registry-2"
for version in 20 28; do
    dpkg-deb -f "$OUT"/debs/$version/docker.io_*.deb Version | sed 's/[+-].*//' >"$OUT/docker-$version.version"
    dpkg-deb -f "$OUT"/debs/$version/containerd_*.deb Version | sed 's/[~+-].*//' >"$OUT/containerd-$version.version"
done
rm -rf "$apt" "$OUT/debs"
