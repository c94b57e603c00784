# shellcheck shell=bash
# Points this host's Docker at the mirrors, without touching a running container.
# Standard input: the CA certificate that the mirrors' certificates are signed by, or nothing.
# apply HUB_URLS TRUSTED_URLS HOSTS_TOML
#   HUB_URLS      the mirrors of docker.io, in order, separated by blanks
#   TRUSTED_URLS  every cache's URL, separated by blanks
#   HOSTS_TOML    for the containerd image store, which ignores the CA of registry-mirrors, and asks mirrors of
#                 any registry: for each registry a line `==== NAME`, and then its hosts.toml
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"

action=$1 hub_urls=$2 trusted_urls=$3 hosts_toml=$4
CERTS=/etc/docker/certs.d
# Where it is a link, what it points to is edited and put back.
DAEMON_JSON=$(readlink -m /etc/docker/daemon.json)
CA=/etc/docker/registry-cache-ca.crt
KNOWN=$RECORDS/client-known
MANAGED=$RECORDS/client-mirrors
TRUSTED=$RECORDS/client-trusted
MIRRORED=$RECORDS/client-mirrored

daemon_json() { # FILE check|merge|remove URL…
  local python
  for python in python3 /usr/libexec/platform-python python2 python ''; do
    if command -v "$python" >/dev/null; then break; fi
  done
  [ -n "$python" ] || die "no Python on this host to edit $DAEMON_JSON with: install python3"
  "$python" "$SCRIPTS/daemon_json.py" "$2" "$1" "${@:3}"
}

digest() { if [ -e "$1" ]; then sha256sum <"$1"; else echo absent; fi; } # path

# Every text of daemon.json that was not somebody's edit is known before it is written.
edit() { # merge|remove URL…
  local next=$RECORDS/daemon.json.next
  rm -f "$next"
  [ ! -e "$DAEMON_JSON" ] || cp "$DAEMON_JSON" "$next"
  daemon_json "$next" "$@" >/dev/null
  digest "$next" >>"$KNOWN"
  rm -f "$next"
  outcome=$(daemon_json "$DAEMON_JSON" "$@")
}

# An edit of somebody's must outlive us, and so is noted before we write over it.
note_edits() {
  if [ ! -e "$KNOWN" ]; then
    digest "$DAEMON_JSON" >"$KNOWN.new"
    mv -f "$KNOWN.new" "$KNOWN"
  elif ! grep -qxF "$(digest "$DAEMON_JSON")" "$KNOWN"; then
    sed -i '1s/.*/edited/' "$KNOWN"
  fi
}

live_mirrors() { docker info -f '{{range .RegistryConfig.Mirrors}}{{println .}}{{end}}' | sed 's,/$,,'; }

# A Docker that is stopped does not tell its store, some versions of its program without failing: then what an
# earlier `up` found holds.
uses_containerd_store() {
  case $(docker info -f '{{.ServerVersion}} {{.DriverStatus}}' 2>/dev/null || true) in
    *io.containerd.snapshotter*) return 0 ;;
    [!' ']*) return 1 ;;
  esac
  [ ! -e "$MIRRORED" ] || return 0
  [ -e "$MANAGED" ] || die "Docker does not answer on this client, and how it finds mirrors depends on its image store: start it (systemctl start docker), or take the client out"
  return 1
}

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
      if live_mirrors | grep -xF "${url%/}" >/dev/null; then state=present; else state=absent; fi
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

write_hosts_toml() {
  local registry file
  while read -r registry; do
    file=$CERTS/$registry/hosts.toml
    grep -qxF "$registry" "$MIRRORED" 2>/dev/null || echo "$registry" >>"$MIRRORED"
    put_file "$file" 644 root:root < <(
      awk -v wanted="==== $registry" '/^==== / { inside = $0 == wanted; next } inside' <<<"$hosts_toml"
    )
    echo "$file: $outcome"
  done < <(sed -n 's/^==== //p' <<<"$hosts_toml")
}

put_back_hosts_toml() { # keeps those of the registries that are read on standard input
  local registry left='' keep
  keep=$(cat)
  [ -e "$MIRRORED" ] || return 0
  while read -r registry; do
    if grep -xF "$registry" <<<"$keep" >/dev/null; then
      left+=$registry$'\n'
    else
      put_back "$CERTS/$registry/hosts.toml"
    fi
  done <"$MIRRORED"
  printf '%s' "$left" >"$MIRRORED"
  [ -s "$MIRRORED" ] || rm -f "$MIRRORED"
}

case $action in
  apply)
    ca=$(cat)
    command -v docker >/dev/null || die "this client has no Docker: give it \`docker: install\` in the stack's clients, or take it out"
    daemon_json "$DAEMON_JSON" check >/dev/null
    # Docker starts with neither of the two where both name mirrors.
    ! pgrep -f '^[^ ]*dockerd .*--registry-mirror' >/dev/null ||
      die "Docker has --registry-mirror on its command line here, and would not start with mirrors in $DAEMON_JSON as well: take it out there (systemctl cat docker)"
    containerd_store=no
    if uses_containerd_store; then containerd_store=yes; fi
    keep_undo "$hub_urls" "$trusted_urls" "$hosts_toml"
    note_edits
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
    if [ "$containerd_store" = yes ]; then
      sed -n 's/^==== //p' <<<"$hosts_toml" | put_back_hosts_toml
      write_hosts_toml
    else
      put_back_hosts_toml </dev/null
    fi
    gone=()
    for url in $old; do
      case " $hub_urls " in *" $url "*) ;; *) gone+=("$url") ;; esac
    done
    printf '%s\n' "$hub_urls $old" >"$MANAGED"
    [ ${#gone[@]} -eq 0 ] || edit remove "${gone[@]}"
    # shellcheck disable=SC2086  # a list of URLs
    edit merge $hub_urls
    printf '%s\n' "$hub_urls" >"$MANAGED"
    reload
    # shellcheck disable=SC2086
    until_live present $hub_urls
    [ ${#gone[@]} -eq 0 ] || until_live absent "${gone[@]}"
    watch configured "$DAEMON_JSON" "$hub_urls"
    watch mirrors docker "$hub_urls"
    echo "$DAEMON_JSON: $outcome"
    ;;
  restore)
    mirrors=$hub_urls
    if [ -e "$MANAGED" ]; then mirrors=$(cat "$MANAGED"); fi
    # Without a record all was put back already, by a destroy that broke off after it.
    if is_remembered "$DAEMON_JSON"; then
      note_edits
      if [ -e "$DAEMON_JSON" ] && command -v docker >/dev/null; then
        # The running daemon forgets a mirror only by a list without it, not by a missing list.
        # shellcheck disable=SC2086
        edit remove --keep-list $mirrors
        reload
        # shellcheck disable=SC2086
        until_live absent $mirrors
      fi
      if [ "$(head -n 1 "$KNOWN")" = edited ]; then
        # Their edits stay, ours go.
        # shellcheck disable=SC2086
        [ ! -e "$DAEMON_JSON" ] || edit remove $mirrors
        forget "$DAEMON_JSON"
      else
        put_back "$DAEMON_JSON"
      fi
    fi
    # Somebody may have had the same mirror before us.
    reload
    put_back_hosts_toml </dev/null
    put_back "$CA"
    distrust_all_but ''
    rm -f "$MANAGED" "$KNOWN"
    forget_undo
    echo "$DAEMON_JSON: as before"
    ;;
esac
