# shellcheck shell=bash
# One pull between two marked requests, so that the mirror's log shows who pulled what.
# Runs on a client. Standard input: the CA, or nothing. Prints `key value` lines.
# URL IMAGE NONCE
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
url=$1 image=$2 nonce=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/ca"
curl_options=(--silent --show-error --connect-timeout 5 --max-time 10 --noproxy '*' -o /dev/null -w '%{http_code}')
[ ! -s "$work/ca" ] || curl_options+=(--cacert "$work/ca")

ask() { # 4|6 event: leaves curl's answer and its exit code in files
  local status=0
  curl "-$1" "${curl_options[@]}" "$url/v2/?proof=$nonce.$2" >"$work/answer$1" 2>&1 || status=$?
  echo "$status" >"$work/status$1"
}

# Docker may take either way to a mirror that has addresses of both kinds, so both are marked.
mark() { # event
  local status answer way=4
  ask 4 "$1" &
  ask 6 "$1"
  wait
  # 6: there is no address of that kind.
  if [ "$(cat "$work/status4")" = 6 ] || [ "$(cat "$work/status6")" = 0 ]; then way=6; fi
  if [ "$(cat "$work/status4")" = 0 ] && [ "$(cat "$work/answer4")" = 200 ]; then way=4; fi
  status=$(cat "$work/status$way")
  answer=$(cat "$work/answer$way")
  case $status in
    0) [ "$answer" = 200 ] || { echo "broken the mirror answers $answer at $url/v2/" && exit 0; } ;;
    6) echo "broken the mirror's name does not resolve on this client: $answer" && exit 0 ;;
    7) echo "broken the mirror's port is closed to this client: $answer" && exit 0 ;;
    28) echo "broken the mirror does not answer this client (a firewall drops it, or access.networks leaves it out): $answer" && exit 0 ;;
    35 | 51 | 53 | 58 | 60 | 77) echo "broken the mirror's certificate is not trusted: $answer" && exit 0 ;;
    *) echo "broken the mirror cannot be asked: $answer" && exit 0 ;;
  esac
}

mark begin
if ! mirrors=$(docker info -f '{{range .RegistryConfig.Mirrors}}{{println .}}{{end}}' 2>&1); then
  echo "broken Docker does not answer on this client: ${mirrors##*$'\n'}"
  exit 0
fi
if ! docker info -f '{{.DriverStatus}}' | grep io.containerd.snapshotter >/dev/null &&
  ! grep -qxF -e "${url%/}" -e "${url%/}/" <<<"$mirrors"; then
  echo "broken Docker on this client has no mirror $url (it has: $(tr '\n' ' ' <<<"$mirrors"))"
  exit 0
fi
present=no
if docker image inspect "$image" >/dev/null 2>&1; then present=yes; fi
since=$(date +%s)
if pulled=$(docker pull -q "$image" 2>&1); then echo 'pull ok'; else echo "pull failed ${pulled##*$'\n'}"; fi
mark end
journalctl -u docker --since "@$since" --no-pager -o cat 2>/dev/null |
  grep -E 'next endpoint|[Ee]rror|mirror' | tail -n 3 | sed 's/^/log /' || true
# What the proof brought goes again.
if [ "$present" = no ]; then docker image rm "$image" >/dev/null 2>&1 || true; fi
