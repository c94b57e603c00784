# shellcheck shell=bash
# Waits until the cache answers as its clients will ask it. Standard input: the CA, or nothing.
# apply URL CONTAINER SECONDS CONTAINER_ID
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"

# Without the id it only waits (replace_container.sh).
action=$1 url=$2 container=$3 seconds=$4 id=${5-}
KNOWN=$RECORDS/containers/$container
slug=${STEP#answers-}
if [ "$action" = restore ]; then
  rm -f "$KNOWN"
  forget_stamp "container-$slug"
  forget_undo
  exit 0
fi
if [ -n "$id" ]; then
  keep_undo "$url" "$container" "$seconds"
  install -d -m 0700 "${KNOWN%/*}"
  echo "$id" >"$KNOWN"
  # Somebody may have stopped it.
  case $(docker inspect --type container -f '{{.State.Status}}' "$id") in
    running | restarting) ;;
    paused) docker unpause "$id" >/dev/null ;;
    *) docker start "$id" >/dev/null ;;
  esac
fi
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
if [ -n "$id" ]; then
  watch state "$container" running
  # The container is no step of ours (components/registry_cache.py makes it): its facts have a stamp of their own.
  generation=$(docker inspect --type container -f '{{index .Config.Labels "registry-cache.generation"}}' "$id")
  # What stood in for one that was gone (registry_directory.sh).
  [ -z "$generation" ] || docker image rm registry-cache.stand-in >/dev/null 2>&1 || true
  watch stamp "container-$slug" "${generation:-0}"
  watch settings "$container" shown
  watch inside "$container"
fi
echo "$url answers"
