#!/bin/bash
# The image that all hosts share; its variants are made from it by variant.sh when they are first asked for.
set -euo pipefail
: "${OUT:?}" "${SOURCES:?}" "${BASE_IMAGE:?}" "${PACKAGES:?}" "${PKI:?}" "${IMAGE:?}"
context="$OUT/context"
mkdir "$context"
cp -r "$SOURCES"/host/{files,Dockerfile,turn-into-el.sh} "$context"
cp "$PACKAGES/www/release.gpg" "$context/RPM-GPG-KEY-CentOS-7"
install -m 644 "$PKI/ca.crt" "$context/ca.crt"
DOCKER_BUILDKIT=0 docker build -q --build-arg "BASE=$BASE_IMAGE" -t "$IMAGE" "$context"
rm -rf "$context"
