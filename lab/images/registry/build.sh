#!/bin/bash
# The images registry:2 (Debian's build of 2.8.3) and registry:3 (built from its Go module, pinned by go.sum),
# each on busybox, with the stock configuration of Docker's own image. They trust the lab's authority, as the
# real ones trust the public ones.
set -euo pipefail
: "${OUT:?}" "${SOURCES:?}" "${DEBS:?}" "${PKI:?}" "${IMAGE:?}"
here="$SOURCES/registry"

module=github.com/distribution/distribution/v3
version=$(cd "$here" && go list -m -f '{{.Version}}' "$module")
(cd "$here" && CGO_ENABLED=0 nice go build -trimpath -o "$OUT/registry-3" \
    -ldflags "-s -w -X $module/version.version=$version" "$module/cmd/registry")
cp "$DEBS/registry-2/usr/bin/docker-registry" "$OUT/registry-2"

make_image() { # make_image MAJOR CONFIGURATION-PATH
    local root="$OUT/root-$1" applet library
    mkdir -p "$root"/{bin,etc/ssl/certs,var/lib/registry,tmp,root,lib64}
    chmod 1777 "$root/tmp"
    cp "$(command -v busybox)" "$root/bin/busybox"
    busybox --list | grep -v '^busybox$' | while read -r applet; do ln -s busybox "$root/bin/$applet"; done
    cp "$OUT/registry-$1" "$root/bin/registry"
    # Debian's build is linked dynamically; the other one needs none of these.
    { ldd "$root/bin/registry" 2>/dev/null || true; } | sed -n 's|^[^/]*\(/[^ ]*\) (.*|\1|p' | while read -r library; do
        install -D -m 755 "$(readlink -f "$library")" "$root$library"
    done
    cp "$PKI/ca.crt" "$root/etc/ssl/certs/ca-certificates.crt"
    chmod 644 "$root/etc/ssl/certs/ca-certificates.crt"
    echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
    echo 'root:x:0:' >"$root/etc/group"
    echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
    install -D -m 644 "$here/config-$1.yml" "$root$2"
    install -m 755 "$here/entrypoint.sh" "$root/entrypoint.sh"
    tar -C "$root" -c . | docker import -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
        -c 'ENV OTEL_TRACES_EXPORTER=none' -c 'VOLUME ["/var/lib/registry"]' -c 'EXPOSE 5000' \
        -c 'ENTRYPOINT ["/entrypoint.sh"]' -c "CMD [\"$2\"]" - "$IMAGE-$1"
    rm -rf "$root"
}
make_image 2 /etc/docker/registry/config.yml
make_image 3 /etc/distribution/config.yml
