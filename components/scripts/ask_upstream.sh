# shellcheck shell=bash
# Asks an upstream for a manifest from the mirror, by the way that the cache takes: a registry in proxy mode
# answers "not found" to its clients whatever its upstream told it. Prints `unreachable WHY` or `status CODE`.
# CONTAINER UPSTREAM_URL REPOSITORY REFERENCE
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
container=$1 upstream=$2 repository=$3 reference=$4
manifest=$upstream/v2/$repository/manifests/$reference
headers=$(mktemp)
trap 'rm -f "$headers"' EXIT
while read -r setting; do
  name=${setting%%=*}
  case ${name,,} in http_proxy | https_proxy | no_proxy) export "${name,,}=${setting#*=}" ;; esac
done < <(docker inspect -f '{{range .Config.Env}}{{println .}}{{end}}' "$container")
curl_options=(--silent --show-error --max-time 15)

ask() { # more options of curl on standard input
  curl "${curl_options[@]}" --head --config - --dump-header "$headers" -o /dev/null -w '%{http_code}' "$manifest" 2>&1
}

if ! answer=$(ask </dev/null); then
  echo "unreachable $answer"
  exit 0
fi
# Docker Hub gives everybody a token, and refuses only who comes with one.
challenge=$(sed -n 's/\r$//; s/^www-authenticate: *bearer //Ip' "$headers")
if [ "$answer" = 401 ] && [ -n "$challenge" ]; then
  realm=$(sed -n 's/.*realm="\([^"]*\)".*/\1/p' <<<"$challenge")
  service=$(sed -n 's/.*service="\([^"]*\)".*/\1/p' <<<"$challenge")
  token=$(curl "${curl_options[@]}" --get --data-urlencode "service=$service" \
    --data-urlencode "scope=repository:$repository:pull" "$realm" 2>/dev/null |
    sed -n 's/.*"token" *: *"\([^"]*\)".*/\1/p') || true
  answer=$(ask <<<"header = \"Authorization: Bearer $token\"") || true
fi
echo "status $answer"
