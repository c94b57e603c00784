#!/usr/bin/env bash
# The mirror's part of the proof: as many pulls in its log as clients. CONTAINER REPOSITORY CLIENTS
set -euo pipefail
pulls=$(docker logs --since 15m "$1" 2>&1 | grep -c "\"\(GET\|HEAD\) /v2/$2/manifests/latest" || true)
[ "$pulls" -ge "$3" ] || { echo "only $pulls pulls of $2 by $3 clients came through the mirror" >&2 && exit 1; }
