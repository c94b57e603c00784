# shellcheck shell=bash
# Points this host's Docker at the mirrors, without touching a running container.
# Standard input: the CA certificate that the mirrors' certificates are signed by, or nothing.
# apply HUB_URLS TRUSTED_URLS HOSTS_TOML
#   HUB_URLS      the mirrors of docker.io, in order, separated by blanks
#   TRUSTED_URLS  every cache's URL, separated by blanks
#   HOSTS_TOML    for the containerd image store, which ignores the CA of registry-mirrors
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"

action=$1 hub_urls=$2 trusted_urls=$3 hosts_toml=$4
CERTS=/etc/docker/certs.d
DAEMON_JSON=/etc/docker/daemon.json
HOSTS_TOML=$CERTS/docker.io/hosts.toml
CA=/etc/docker/registry-cache-ca.crt
WROTE=$RECORDS/client-wrote
MANAGED=$RECORDS/client-mirrors
TRUSTED=$RECORDS/client-trusted

daemon_json() { # check|merge|remove URL…
  local python
  python=$(command -v python3 /usr/libexec/platform-python python2 python | head -n 1)
  [ -n "$python" ] || die "no Python on this host to edit $DAEMON_JSON with: install python3"
  "$python" "$SCRIPTS/daemon_json.py" "$1" "$DAEMON_JSON" "${@:2}"
}

live_mirrors() { docker info -f '{{range .RegistryConfig.Mirrors}}{{println .}}{{end}}' | sed 's,/$,,'; }

uses_containerd_store() { docker info -f '{{.DriverStatus}}' | grep -q io.containerd.snapshotter; }

reload() {
  systemctl is-active -q docker || return 0
  # SIGHUP: containers keep running. docker.service's ExecReload is no other thing.
  systemctl reload docker
}

until_live() { # present|absent URL…
  local wanted=$1 url deadline=$((SECONDS + 15)) missing
  shift
  systemctl is-active -q docker || return 0
  while :; do
    missing=''
    for url in "$@"; do
      if live_mirrors | grep -qxF "${url%/}"; then state=present; else state=absent; fi
      [ "$state" = "$wanted" ] || missing=$url
    done
    [ -n "$missing" ] || return 0
    [ "$SECONDS" -lt "$deadline" ] || die "after the reload, Docker's mirrors are not as $DAEMON_JSON says: $missing is not $wanted (see: journalctl -u docker)"
    sleep 0.1
  done
}

certs_directory() { printf '%s/%s' "$CERTS" "${1#*://}"; } # URL

trust() { # ca-text
  local url
  for url in $trusted_urls; do
    put_file "$(certs_directory "$url")/ca.crt" 644 root:root <<<"$1"
    [ "$outcome" = unchanged ] || echo "$(certs_directory "$url")/ca.crt: $outcome"
    grep -qxF "$url" "$TRUSTED" 2>/dev/null || echo "$url" >>"$TRUSTED"
  done
}

distrust_all_but() { # URL…
  local url left=''
  [ -e "$TRUSTED" ] || return 0
  while read -r url; do
    case " $* " in
      *" $url "*) left+=$url$'\n' ;;
      *) put_back "$(certs_directory "$url")/ca.crt" ;;
    esac
  done <"$TRUSTED"
  printf '%s' "$left" >"$TRUSTED"
  [ -s "$TRUSTED" ] || rm -f "$TRUSTED"
}

case $action in
  apply)
    ca=$(cat)
    command -v docker >/dev/null || die "this client has no Docker: give it \`docker: install\` in the stack's clients, or take it out"
    daemon_json check >/dev/null
    keep_undo "$hub_urls" "$trusted_urls" "$hosts_toml"
    remember "$DAEMON_JSON"
    old=''
    if [ -e "$MANAGED" ]; then old=$(cat "$MANAGED"); fi
    if [ -n "$ca" ]; then
      trust "$ca"
      distrust_all_but "$trusted_urls"
      put_file "$CA" 644 root:root <<<"$ca"
    else
      distrust_all_but ''
      put_back "$CA"
    fi
    if uses_containerd_store; then
      put_file "$HOSTS_TOML" 644 root:root <<<"$hosts_toml"
      echo "$HOSTS_TOML: $outcome"
    else
      put_back "$HOSTS_TOML"
    fi
    gone=()
    for url in $old; do
      case " $hub_urls " in *" $url "*) ;; *) gone+=("$url") ;; esac
    done
    printf '%s\n' "$hub_urls $old" >"$MANAGED"
    [ ${#gone[@]} -eq 0 ] || daemon_json remove "${gone[@]}" >/dev/null
    # shellcheck disable=SC2086  # a list of URLs
    outcome=$(daemon_json merge $hub_urls)
    printf '%s\n' "$hub_urls" >"$MANAGED"
    sha256sum <"$DAEMON_JSON" >"$WROTE"
    reload
    # shellcheck disable=SC2086
    until_live present $hub_urls
    [ ${#gone[@]} -eq 0 ] || until_live absent "${gone[@]}"
    echo "$DAEMON_JSON: $outcome"
    ;;
  restore)
    mirrors=$hub_urls
    if [ -e "$MANAGED" ]; then mirrors=$(cat "$MANAGED"); fi
    untouched=no
    if [ -e "$WROTE" ] && [ -e "$DAEMON_JSON" ] && [ "$(sha256sum <"$DAEMON_JSON")" = "$(cat "$WROTE")" ]; then untouched=yes; fi
    if [ -e "$DAEMON_JSON" ] && command -v docker >/dev/null; then
      # The running daemon forgets a mirror only by a list without it, not by a missing list.
      # shellcheck disable=SC2086
      daemon_json remove --keep-list $mirrors >/dev/null
      reload
      # shellcheck disable=SC2086
      until_live absent $mirrors
    fi
    if [ "$untouched" = yes ] || [ ! -e "$DAEMON_JSON" ]; then
      put_back "$DAEMON_JSON"
    else
      # Somebody edited the file since: their edits stay, ours go.
      # shellcheck disable=SC2086
      daemon_json remove $mirrors >/dev/null
      forget "$DAEMON_JSON"
    fi
    put_back "$HOSTS_TOML"
    put_back "$CA"
    distrust_all_but ''
    rm -f "$MANAGED" "$WROTE"
    forget_undo
    echo "$DAEMON_JSON: as before"
    ;;
esac
