#!/bin/bash
# The image of the 'internet': names, package repositories, package mirrors, an outbound proxy.
set -euo pipefail
: "${OUT:?}" "${SOURCES:?}" "${SERVICES_IMAGE:?}" "${PACKAGES:?}" "${PKI:?}" "${IMAGE:?}"
context="$OUT/context"
mkdir "$context" "$context/pki"
cp -r "$SOURCES"/internet/. "$context"
cp -rl "$PACKAGES/www" "$context/www"
cp "$PKI"/server.{crt,key} "$context/pki"
DOCKER_BUILDKIT=0 docker build -q --build-arg "SERVICES=$SERVICES_IMAGE" -t "$IMAGE" "$context"
rm -rf "$context"
