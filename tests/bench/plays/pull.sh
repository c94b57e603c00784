#!/usr/bin/env bash
# The client's part of the proof: a mark in the mirror's log, a pull, and away with it. URL CA IMAGE
set -euo pipefail
curl -sSf --max-time 10 --cacert "$2" -o /dev/null "$1/v2/?proof=$(hostname)"
docker pull -q "$3" >/dev/null
docker image rm "$3" >/dev/null 2>&1 || true
