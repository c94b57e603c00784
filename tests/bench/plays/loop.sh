#!/usr/bin/env bash
# The plain shell loop: one ssh session a host, one host after the other. DIRECTORY URL CONTAINER
set -euo pipefail
directory=$1 url=$2 container=$3
wrong=0
while read -r address role; do
  # shellcheck disable=SC2029  # expanded here on purpose
  ssh -F "$directory/ssh_config" "$address" \
    "bash -s -- $role $url ${url#https://} $container" <"$directory/check.sh" || wrong=1
done <"$directory/hosts"
exit "$wrong"
