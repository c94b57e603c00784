#!/bin/bash
# The image of the upstream registry with all its content, and OUT/digests: "NAME TAG DIGEST" a line.
set -euo pipefail
: "${OUT:?}" "${SOURCES:?}" "${SERVICES_IMAGE:?}" "${REGISTRY:?}" "${REGISTRY_IMAGE:?}" "${PKI:?}" "${IMAGE:?}"
here="$SOURCES/upstream"
context="$OUT/context"
mkdir -p "$context/pki" "$context/bin"
cp "$(command -v busybox)" "$context/bin/busybox"
busybox --list | grep -v '^busybox$' | while read -r applet; do ln -s busybox "$context/bin/$applet"; done
cp "$here"/{Dockerfile,content.Dockerfile,nginx.conf,registry.yml,start.sh,front.sh} "$context"
cp "$PKI"/server.{crt,key} "$context/pki"
cp -l "$REGISTRY/registry-3" "$context/registry-3"

filler=$(docker run -d -p 127.0.0.1::5000 "$REGISTRY_IMAGE-3")
trap 'docker rm -fv "$filler" >/dev/null' EXIT
address=$(docker port "$filler" 5000/tcp)
publish() { # publish LOCAL-IMAGE NAME TAG
    local remote="$address/library/$2:$3"
    docker tag "$1" "$remote"
    docker push -q "$remote"
    docker image inspect -f '{{range .RepoDigests}}{{println .}}{{end}}' "$remote" |
        sed -n "s|^$address/library/$2@|$2 $3 |p" >>"$OUT/digests"
    docker rmi "$remote" >/dev/null
}
sample() { # sample NAME START TAG…
    local tag
    DOCKER_BUILDKIT=0 docker build -q -f "$context/content.Dockerfile" -t "$IMAGE-sample" \
        --build-arg "NAME=$1" --build-arg "START=$2" "$context"
    for tag in "${@:3}"; do publish "$IMAGE-sample" "$1" "$tag"; done
    docker rmi "$IMAGE-sample" >/dev/null
}
sample nginx 'httpd -f -p 80 -h /www' latest 1.27
sample redis 'sleep 2147483647' latest
sample alpine sh latest
sample busybox sh latest
sample hello-world 'cat /www/index.html' latest
for major in 2 3; do publish "$REGISTRY_IMAGE-$major" registry "$major"; done

docker cp "$filler:/var/lib/registry" "$context/content"
DOCKER_BUILDKIT=0 docker build -q --build-arg "SERVICES=$SERVICES_IMAGE" -t "$IMAGE" "$context"
rm -rf "$context"
