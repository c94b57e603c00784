# shellcheck shell=bash
# Writes down which of the caches' containers run (not paused, and not unhealthy) and where their logs are. The collector's unit runs it before.
# FILE CONTAINER…
set -euo pipefail
PATH=$PATH:/usr/bin:/usr/sbin
file=$1
shift
mkdir -p "${file%/*}"
runs='{{if ne .State.Status "running"}}false{{else}}{{with .State.Health}}{{ne .Status "unhealthy"}}{{else}}true{{end}}{{end}}'
# Without Docker there is none; one that is missing does not hide the others.
docker inspect -f "{{.Name}} $runs {{.LogPath}}" "$@" >"$file.new" 2>/dev/null || true
mv -f "$file.new" "$file"
