# shellcheck shell=bash
# Waits until the cache answers as its clients will ask it. Standard input: the CA, or nothing.
# apply URL CONTAINER SECONDS
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"

action=$1 url=$2 container=$3 seconds=$4
[ "$action" = apply ] || exit 0
ca=$(mktemp)
trap 'rm -f "$ca"' EXIT
cat >"$ca"
curl_options=(--silent --show-error --globoff --max-time 5 --noproxy '*')
host=${url#*://}
# A name need not resolve on the mirror itself, where this runs; curl 7.29 of CentOS 7 has no --connect-to.
if [[ $host =~ ^([A-Za-z0-9.-]*[A-Za-z][A-Za-z0-9.-]*)(:([0-9]+))?$ ]]; then
  port=${BASH_REMATCH[3]}
  [ -n "$port" ] || case $url in https:*) port=443 ;; *) port=80 ;; esac
  curl_options+=(--resolve "${BASH_REMATCH[1]}:$port:127.0.0.1")
fi
[ ! -s "$ca" ] || curl_options+=(--cacert "$ca")
deadline=$((SECONDS + seconds))
until reason=$(curl "${curl_options[@]}" --fail -o /dev/null "$url/v2/" 2>&1); do
  if [ "$SECONDS" -ge "$deadline" ]; then
    docker logs --tail 20 "$container" >&2 || true
    die "the cache does not answer at $url within $seconds s: $reason. Its last log lines are above."
  fi
  sleep 0.2
done
echo "$url answers"
