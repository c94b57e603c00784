#!/bin/bash
# One variant of the host image: RELEASE, FIREWALL, DOCKER (a version or "none"), IPTABLES_PLACE.
set -euo pipefail
: "${OUT:?}" "${SOURCES:?}" "${HOST_IMAGE:?}" "${PACKAGES:?}" "${IMAGE:?}"
: "${RELEASE:?}" "${FIREWALL:?}" "${DOCKER:?}" "${IPTABLES_PLACE:?}"
context="$OUT/context"
mkdir -p "$context/rpms/docker"
cp -r "$SOURCES"/host/{releases,variant.Dockerfile,choose-variant.sh} "$context"
cp -rl "$PACKAGES/www/base" "$PACKAGES/release" "$context/rpms"
if [ "$DOCKER" != none ]; then
    cp -l "$PACKAGES"/www/docker-ce/all/*.rpm "$context/rpms/docker"
fi
DOCKER_BUILDKIT=0 docker build -q -f "$context/variant.Dockerfile" -t "$IMAGE" --build-arg "HOST=$HOST_IMAGE" \
    --build-arg "RELEASE=$RELEASE" --build-arg "FIREWALL=$FIREWALL" --build-arg "DOCKER=$DOCKER" \
    --build-arg "IPTABLES_PLACE=$IPTABLES_PLACE" "$context"
rm -rf "$context"
