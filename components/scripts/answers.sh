# shellcheck shell=bash
# Waits until the cache answers as its clients will ask it. Standard input: the CA, or nothing.
# apply URL ADDRESS CONTAINER SECONDS
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"

action=$1 url=$2 address=$3 container=$4 seconds=$5
[ "$action" = apply ] || exit 0
authority=${url#*://}
host=${authority%:*}
port=${authority##*:}
if [ "$host" = "$authority" ]; then case $url in https:*) port=443 ;; *) port=80 ;; esac; fi
ca=$(mktemp)
trap 'rm -f "$ca"' EXIT
cat >"$ca"
curl_options=(--silent --show-error --max-time 5 --noproxy '*' --resolve "${host//[\[\]]/}:$port:$address")
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
