#!/bin/bash
# The image of the upstream registries with all their content, and OUT/digests: "NAME TAG DIGEST" a line, NAME with its
# registry where that is not docker.io.
set -euo pipefail
: "${OUT:?}" "${SOURCES:?}" "${SERVICES_IMAGE:?}" "${REGISTRY:?}" "${REGISTRY_IMAGE:?}" "${PKI:?}" "${IMAGE:?}"
here="$SOURCES/upstream"
context="$OUT/context"
mkdir -p "$context/pki" "$context/bin" "$context/content"
cp "$(command -v busybox)" "$context/bin/busybox"
busybox --list | grep -v '^busybox$' | while read -r applet; do ln -s busybox "$context/bin/$applet"; done
cp "$here"/{Dockerfile,content.Dockerfile,nginx.conf,start.sh,front.sh} "$context"
cp "$here"/{registry.yml,token-auth.yml,token_server.py,accounts.json} "$context"
cp "$PKI"/server.{crt,key} "$context/pki"
cp -l "$REGISTRY/registry-3" "$context/registry-3"
# What signs the tokens of ghcr.io: the registry there trusts nothing else.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj '/CN=Lab tokens' \
    -keyout "$context/pki/token.key" -out "$context/pki/token.crt" 2>/dev/null

filler=
trap '[ -z "$filler" ] || docker rm -fv "$filler" >/dev/null' EXIT
fill() { # fill DIRECTORY: what is published from here on lands in that folder of /var/lib
    keep
    directory=$1
    filler=$(docker run -d -p 127.0.0.1::5000 "$REGISTRY_IMAGE-3")
    address=$(docker port "$filler" 5000/tcp)
}
keep() {
    [ -n "$filler" ] || return 0
    docker cp "$filler:/var/lib/registry" "$context/content/$directory"
    docker rm -fv "$filler" >/dev/null
    filler=
}
publish() { # publish LOCAL-IMAGE REPOSITORY TAG NAME-IN-DIGESTS
    local remote="$address/$2:$3"
    docker tag "$1" "$remote"
    docker push -q "$remote"
    docker image inspect -f '{{range .RepoDigests}}{{println .}}{{end}}' "$remote" |
        sed -n "s|^$address/$2@|$4 $3 |p" >>"$OUT/digests"
    docker rmi "$remote" >/dev/null
}
sample() { # sample NAME START REPOSITORY NAME-IN-DIGESTS TAG…
    local tag
    DOCKER_BUILDKIT=0 docker build -q -f "$context/content.Dockerfile" -t "$IMAGE-sample" \
        --build-arg "NAME=$1" --build-arg "START=$2" "$context"
    for tag in "${@:5}"; do publish "$IMAGE-sample" "$3" "$tag" "$4"; done
    docker rmi "$IMAGE-sample" >/dev/null
}
on_hub() { sample "$1" "$2" "library/$1" "$1" "${@:3}"; } # on_hub NAME START TAG…

fill registry
on_hub nginx 'httpd -f -p 80 -h /www' latest 1.27
on_hub redis 'sleep 2147483647' latest
on_hub alpine sh latest
on_hub busybox sh latest
on_hub hello-world 'cat /www/index.html' latest
for major in 2 3; do publish "$REGISTRY_IMAGE-$major" library/registry "$major" registry; done

# Without a login, ghcr.io gives acme/tool only (accounts.json, token_server.py).
fill registry-ghcr.io
for name in tool private; do sample "acme-$name" sh "acme/$name" "ghcr.io/acme/$name" 1.0; done

# An index of two platforms.
fill registry-registry.k8s.io
export DOCKER_CONFIG="$OUT/docker"
for platform in amd64 arm64; do
    sample "pause-$platform" 'sleep 2147483647' pause registry.k8s.io/pause "3.10-$platform"
done
docker manifest create --insecure "$address/pause:3.10" "$address/pause:3.10-amd64" "$address/pause:3.10-arm64"
docker manifest annotate --os linux --arch arm64 --variant v8 "$address/pause:3.10" "$address/pause:3.10-arm64"
index=$(docker manifest push --insecure "$address/pause:3.10")
echo "registry.k8s.io/pause 3.10 ${index##*$'\n'}" >>"$OUT/digests"
keep

DOCKER_BUILDKIT=0 docker build -q --build-arg "SERVICES=$SERVICES_IMAGE" -t "$IMAGE" "$context"
rm -rf "$context" "$OUT/docker"
