# shellcheck shell=bash
# What `make status` asks a host, over standard input (components/status/). Reads, and changes nothing.
# SINCE DIRECTORY ROLE…
#   SINCE      seconds since 1970: how far back to look
#   DIRECTORY  where a mirror's caches keep their data
#   ROLE       mirror, client
# Prints a line for each question: its name, "+" or, where it failed, "-", and all that was said, gzipped, in
# base64; what came on standard error is marked by "!".
set -uo pipefail
PATH=$PATH:/usr/sbin:/sbin
export LC_ALL=C
since=$1 directory=$2
shift 2

tell() { # name command…
  local answer sign=+
  answer=$(timeout 20 "${@:2}" 2> >(sed 's/^/!/')) || sign=-
  printf '%s %s%s\n' "$1" "$sign" "$(printf '%s' "$answer" | gzip -c | base64 -w 0)"
}

# A key stands in the same file.
certificate() { sed -n '/-BEGIN CERTIFICATE-/,/-END CERTIFICATE-/p' /etc/registry-cache/tls/server.pem; }

docker_since() { date -d "$(systemctl show -p ActiveEnterTimestamp docker | sed 's/^[^=]*=//')" +%s; }

# When these clients were first pointed at their mirrors: what stood at daemon.json before is kept from then on.
configured_since() { stat -c %Z /var/lib/registry-cache/before/*daemon.json* | sort -n; }

fallbacks() {
  journalctl --unit docker --since "@$since" --no-pager --output cat |
    { grep -E 'msg="(Attempting next endpoint for pull|trying next host)' || true; } | tail -n 500
}

# The daemon keeps its last 256 events: without all of them it is not known how far back they reach.
events() {
  docker events --since 0 --until "$(date +%s.%N)" --format '{{.TimeNano}} {{.Type}} {{.Action}} {{.Actor.ID}}' |
    awk 'NR == 1 { first = $1 } $2 == "image" && $3 == "pull" { print }
      END { print first == "" ? 0 : first, "events", NR }'
}

export -f certificate docker_since configured_since fallbacks events
export since

tell now date +%s.%N
tell addresses hostname -I
for role in "$@"; do
  case $role in
    mirror)
      tell collected cat /var/lib/registry-cache/metrics/collect.json
      tell probed cat /var/lib/registry-cache/metrics/upstreams.json
      tell containers docker ps --all --no-trunc --filter name=registry-cache- --format '{{.Names}} {{.Status}}'
      tell disk df -P -B 1 "$directory"
      if [ -e /etc/registry-cache/tls/server.pem ]; then tell certificate bash -o pipefail -c certificate; fi
      ;;
    client)
      tell store docker info -f '{{.DriverStatus}}'
      tell mirrors docker info -f '{{range .RegistryConfig.Mirrors}}{{println .}}{{end}}'
      if [ -e /etc/docker/certs.d/docker.io/hosts.toml ]; then tell hosts_toml cat /etc/docker/certs.d/docker.io/hosts.toml; fi
      tell docker_since bash -o pipefail -c docker_since
      tell configured_since bash -o pipefail -c configured_since
      tell fallbacks bash -o pipefail -c fallbacks
      tell events bash -o pipefail -c events
      ;;
  esac
done
