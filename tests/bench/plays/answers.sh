#!/usr/bin/env bash
# Waits until the registry answers. URL CA
set -euo pipefail
deadline=$((SECONDS + 60))
until reason=$(curl -sSf --max-time 5 --cacert "$2" -o /dev/null "$1/v2/" 2>&1); do
  [ "$SECONDS" -lt "$deadline" ] || { echo "$1 does not answer: $reason" >&2 && exit 1; }
  sleep 0.2
done
