#!/bin/bash
# Signed RPM repositories: OUT/www/docker-ce (as download.docker.com), OUT/www/base (the hosts' own system).
# Docker for EL7 stops at the older version, as the real one does: OUT/www/docker-ce/el7.
set -euo pipefail
: "${OUT:?}" "${SOURCES:?}" "${DEBS:?}"
here="$SOURCES/packages"
work=$(mktemp -d)
export GNUPGHOME="$work/gnupg"
trap 'gpgconf --kill all; rm -rf "$work"' EXIT
install -d -m 700 "$GNUPGHOME"

new_key() { gpg --batch --quiet --pinentry-mode loopback --passphrase '' --quick-gen-key "$1" rsa3072 sign never; }
new_key 'Lab Release <release@example.test>'
new_key 'Lab Forger <forger@example.test>'
rpm_build() { # rpm_build FOLDER SPEC [--define …]
    local folder=$1 spec=$2
    shift 2
    rpmbuild -bb --quiet --define "_topdir $work/build" --define "_dbpath $work/db" --define "_rpmdir $folder" \
        --define '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
        --define '_binary_payload w3T0.zstdio' "$@" "$here/$spec"
}
sign() { # sign KEY FILE…
    rpmsign --define "_gpg_name $1" --define "__gpg $(command -v gpg)" --define "_dbpath $work/db" \
        --addsign "${@:2}" >/dev/null
}

for version in 20 28; do
    payload="$work/payload-$version"
    cp -a "$DEBS/docker-$version" "$payload"
    install -d "$payload/units"
    for unit in docker.service docker.socket containerd.service; do
        # A host of the lab has no CAP_SYS_RESOURCE: it cannot raise limits, or lower its OOM score.
        # shellcheck disable=SC2016  # a literal in the unit file
        sed -e 's|/usr/sbin/dockerd|/usr/bin/dockerd|; s| \$DOCKER_OPTS||' \
            -e '/^EnvironmentFile=/d; /^Limit[A-Z]*=/d; /^OOMScoreAdjust=/d' \
            "$(find "$payload" -path "*/systemd/system/$unit")" >"$payload/units/$unit"
    done
    rpm_build "$work/rpms/docker-$version" docker.spec --define "payload $payload" \
        --define "docker_version $(cat "$DEBS/docker-$version.version")" \
        --define "containerd_version $(cat "$DEBS/containerd-$version.version")"
done
rpm_build "$work/rpms/base" base.spec --define "payload $here/payload"
for release in centos-release=7.9 rocky-release=8.10 rocky-release=9.4 rocky-release=10.0; do
    rpm_build "$work/rpms/release" release.spec \
        --define "release_name ${release%=*}" --define "release_version ${release#*=}"
done

www="$OUT/www"
mkdir -p "$www"/{docker-ce/all,docker-ce/el7,base,forged} "$OUT/release"
sign forger@example.test "$work"/rpms/base/lab-forged-*.rpm
mv "$work"/rpms/base/lab-forged-*.rpm "$www/forged"
sign release@example.test "$work"/rpms/*/*.rpm
cp "$work"/rpms/docker-*/*.rpm "$www/docker-ce/all"
for old in docker-ce-{,cli-}"$(cat "$DEBS/docker-20.version")" containerd.io-"$(cat "$DEBS/containerd-20.version")"; do
    cp -l "$www/docker-ce/all/$old"-*.rpm "$www/docker-ce/el7"
done
cp "$work"/rpms/base/*.rpm "$www/base"
cp "$work"/rpms/release/*.rpm "$OUT/release"
for repository in "$www"/docker-ce/{all,el7} "$www/base" "$www/forged"; do createrepo_c -q "$repository"; done
gpg --armor --export release@example.test >"$www/release.gpg"
gpg --armor --export forger@example.test >"$www/forger.gpg"
for family in centos rhel; do
    sed "s/@FAMILY@/$family/g" "$here/docker-ce.repo" >"$www/docker-ce/$family.repo"
done
