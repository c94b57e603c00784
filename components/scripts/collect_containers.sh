# shellcheck shell=bash
# Writes down which of the caches' containers run (not paused, and not unhealthy) and where their logs are. The collector's unit runs it before.
# FILE CONTAINER…
set -euo pipefail
PATH=$PATH:/usr/bin:/usr/sbin
file=$1
shift
mkdir -p "${file%/*}"
runs='{{if ne .State.Status "running"}}false{{else}}{{with .State.Health}}{{ne .Status "unhealthy"}}{{else}}true{{end}}{{end}}'
# Two services may be at it at the same time.
new=$(mktemp "$file.XXXXXX")
trap 'rm -f "$new"' EXIT
status=0
# Without Docker there is none; one that is missing does not hide the others.
timeout 10 docker inspect -f "{{.Name}} $runs {{.LogPath}}" "$@" >"$new" 2>/dev/null || status=$?
# An engine that hangs must not keep the collector from its work: what it said last stands.
[ "$status" -ne 124 ] || exit 0
chmod 644 "$new"
mv -f "$new" "$file"
