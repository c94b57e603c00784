# shellcheck shell=bash
# What a cache's own log and storage say about one marked pull. Runs on a mirror.
# CONTAINER NONCE DATA
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
container=$1 nonce=$2 data=$3
window=$(docker logs --timestamps --since 15m "$container" 2>&1 |
  awk -v begin="proof=$nonce.begin" -v end="proof=$nonce.end" '
    index($0, begin) { inside = 1 }
    inside { print }
    index($0, "\"GET ") && index($0, end) { inside = 0 }')
printf '%s\n' "$window" | sed 's/^/line /'
first=${window%%$'\n'*}
[ -z "$first" ] || echo "began $(date -d "${first%% *}" +%s)"
printf '%s\n' "$window" | { grep -oE '/blobs/sha256:[0-9a-f]{64}' || true; } | sort -u | while read -r blob; do
  digest=${blob##*:}
  stored=$(stat -c %Y "$data/docker/registry/v2/blobs/sha256/${digest:0:2}/$digest/data" 2>/dev/null || echo none)
  echo "blob sha256:$digest $stored"
done
