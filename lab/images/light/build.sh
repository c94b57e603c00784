#!/bin/bash
# A host with stand-ins for docker and dockerd, small enough to have dozens.
set -euo pipefail
: "${SOURCES:?}" "${HOST_IMAGE:?}" "${IMAGE:?}"
DOCKER_BUILDKIT=0 docker build -q --build-arg "HOST=$HOST_IMAGE" -t "$IMAGE" "$SOURCES/light"
