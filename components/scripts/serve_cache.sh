# shellcheck shell=sh
# What runs in a cache's container. A registry in proxy mode does not start while its upstream is
# away (distribution#4038, #1435); this serves what is cached until the upstream is back.
# CONFIGURATION
set -eu
configuration=$1
offline=/tmp/offline.yml
child=
probe=
nap=

stop() {
  for process in $child $probe $nap; do kill -TERM "$process" 2>/dev/null || true; done
  wait
  exit 0
}
trap stop TERM INT

# The debug server is no sign: registry 2 starts it before it asks its upstream, and panics then.
# The port is: it is opened once everything else went well. /proc shows it in hexadecimal, 0A is LISTEN.
listens() { # port
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
    awk -v port="$(printf ':%04X' "$1")" '$4 == "0A" && substr($2, length($2) - 4) == port { found = 1 }
      END { exit !found }'
}

# One that has ended is a zombie until it is waited for, and can still be signalled.
lives() { # process
  grep -q '^State:[[:space:]]*[^Z[:space:]]' "/proc/$1/status" 2>/dev/null
}

starts() { # process port
  tries=0
  while lives "$1"; do
    if listens "$2"; then return 0; fi
    tries=$((tries + 1))
    [ "$tries" -lt 50 ] || return 1
    sleep 0.2
  done
  return 1
}

upstream_is_back() {
  REGISTRY_HTTP_ADDR=127.0.0.1:5002 REGISTRY_HTTP_DEBUG_ADDR=127.0.0.1:5003 \
    REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY=/tmp/probe registry serve "$configuration" >/dev/null 2>&1 &
  probe=$!
  back=1
  if starts "$probe" 5002; then back=0; fi
  kill -TERM "$probe" 2>/dev/null || true
  wait "$probe" 2>/dev/null || true
  probe=
  return "$back"
}

while :; do
  registry serve "$configuration" &
  child=$!
  if starts "$child" 5000; then
    wait "$child"
    exit $?
  fi
  kill -TERM "$child" 2>/dev/null || true
  wait "$child" 2>/dev/null || true
  echo "level=warning msg=\"the upstream does not answer: serving what is cached, read-only\"" >&2
  # The same configuration without its proxy part (and so without its secrets).
  awk '/^[a-z]/ { skip = /^proxy:/ } !skip { print }
    /^  maintenance:/ { print "    readonly:\n      enabled: true" }' "$configuration" >"$offline"
  env -u REGISTRY_PROXY_REMOTEURL -u REGISTRY_PROXY_TTL registry serve "$offline" &
  child=$!
  until upstream_is_back; do
    lives "$child" || exit 1
    sleep 10 &
    nap=$!
    wait "$nap"
  done
  echo "level=info msg=\"the upstream answers again\"" >&2
  kill -TERM "$child" 2>/dev/null || true
  wait "$child" 2>/dev/null || true
done
