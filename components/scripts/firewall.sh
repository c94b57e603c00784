# shellcheck shell=bash
# Who may reach the caches: an nftables table of our own, hooked before Docker's DNAT.
# Neither firewalld, iptables-services nor Docker touches a table of somebody else.
# Standard input: the ruleset. apply PORTS NETWORK=PORT…
#   PORTS         those of the caches, comma-separated
#   NETWORK=PORT  what the host's own firewall has to let in (components/lib/access_rules.py says why)
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"
# How the openings are written.
# shellcheck source=openings.sh
. "$SCRIPTS/openings.sh"

action=$1 ports=$2
shift 2
openings=("$@")
RULES=/etc/registry-cache/firewall.nft
UNIT=/etc/systemd/system/registry-cache-firewall.service
OPENED=$RECORDS/firewall-opened
WROTE=$RECORDS/firewall-wrote
SYSCONFIG=/etc/sysconfig
METRICS_SETTINGS=/etc/registry-cache/metrics.json
ZONES=/etc/firewalld/zones

unit() {
  cat <<'UNIT'
[Unit]
Description=Who may reach the registry caches
# nftables.service flushes every table when it stops or reloads.
After=nftables.service
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service
Before=docker.service network-pre.target
Wants=network-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f /etc/registry-cache/firewall.nft
ExecReload=/usr/sbin/nft -f /etc/registry-cache/firewall.nft
ExecStop=/usr/sbin/nft delete table inet registry_cache

[Install]
WantedBy=multi-user.target
UNIT
}

# A cache that moves to another port, or goes, is published at the old one until its container is
# replaced or removed, which comes after this step.
leaving_ports() {
  local port
  { docker ps --filter name=registry-cache- --format '{{.Ports}}' | grep -oE ':[0-9]+->' || true; } |
    tr -dc '0-9\n' | sort -u | while read -r port; do
    case ",$ports," in
      *",$port,"*) ;;
      *) echo "add element inet registry_cache leaving { $port timeout 1d }" ;;
    esac
  done
}

# Metrics that move to another port, or are no longer wanted, are served at the old one until their service
# is restarted or removed, which comes after this step.
closed_ports() {
  local port
  port=$(sed -n 's/.*"port": \([0-9]*\).*/\1/p' "$METRICS_SETTINGS" 2>/dev/null || true)
  [ -z "$port" ] || grep -q "dport $port jump metrics" "$RULES" ||
    echo "add element inet registry_cache closed { $port timeout 1d }"
}

wanted_openings() {
  local opening
  for opening in ${openings[@]+"${openings[@]}"}; do printf '%s %s\n' "${opening%=*}" "${opening##*=}"; done
}

zone_file() { printf '%s/%s.xml' "$ZONES" "$(sed -n 's/^DefaultZone=//p' /etc/firewalld/firewalld.conf)"; }

permanently() { # what firewall-cmd would be told
  if firewall-cmd -q --state; then firewall-cmd -q --permanent "$@"; else firewall-offline-cmd -q "$@"; fi
}

# A file of the firewall goes back to what it was, to the byte, unless others wrote to it meanwhile:
# then their edits stay, and only our lines go.
before_edit() { # path
  if [ ! -e "$WROTE-${1##*/}" ]; then
    remember "$1"
    remember "$1.old"
  elif ! sha256sum -c --status "$WROTE-${1##*/}"; then
    forget "$1"
    forget "$1.old"
  fi
}

after_edit() { # path
  if command -v restorecon >/dev/null; then restorecon "$1" || true; fi
  sha256sum "$1" >"$WROTE-${1##*/}"
}

untouched_files() {
  local wrote
  for wrote in "$WROTE"-*; do
    if [ -e "$wrote" ] && sha256sum -c --status "$wrote"; then sed 's/^[^ ]* *//' "$wrote"; fi
  done
}

put_files_back() { # untouched file…
  local wrote path
  for path in "$@"; do
    put_back "$path"
    put_back "$path.old"
  done
  for wrote in "$WROTE"-*; do
    [ -e "$wrote" ] || continue
    path=$(sed 's/^[^ ]* *//' "$wrote")
    forget "$path"
    forget "$path.old"
    rm -f "$wrote"
  done
}

record_opening() { grep -qxF "$*" "$OPENED" 2>/dev/null || echo "$*" >>"$OPENED"; }

open_in_firewalld() { # network port
  local rule
  rule=$(rich_rule "$1" "$2")
  if ! firewall-cmd -q --permanent --query-rich-rule="$rule"; then
    before_edit "$(zone_file)"
    record_opening firewalld "$1" "$2"
    firewall-cmd -q --permanent --add-rich-rule="$rule"
    after_edit "$(zone_file)"
  fi
  firewall-cmd -q --query-rich-rule="$rule" || firewall-cmd -q --add-rich-rule="$rule"
}

open_in_iptables() { # iptables|ip6tables network port
  local file=$SYSCONFIG/$1 rule
  rule=$(input_rule "$2" "$3")
  # `service ip6tables save`, by whoever runs it, writes the same rule with -A.
  if ! grep -qxF -e "-I $rule" -e "-A $rule" "$file"; then
    before_edit "$file"
    record_opening "$1" "$2" "$3"
    sed "/^\*filter/,/^COMMIT/s,^COMMIT,-I $rule\nCOMMIT," "$file" >"$file.registry-cache"
    chmod --reference="$file" "$file.registry-cache"
    mv -f "$file.registry-cache" "$file"
    after_edit "$file"
  fi
  # shellcheck disable=SC2086
  "$1" -w -C $rule 2>/dev/null || "$1" -w -I $rule
}

# Those that we may have opened something in: another one may have become the default since.
opened_zones() {
  local file
  for file in "$WROTE"-*.xml "$(zone_file)"; do
    file=${file#"$WROTE-"}
    [ ! -e "$ZONES/${file##*/}" ] || basename "$file" .xml
  done | sort -u
}

close_in_firewalld() { # network port
  local rule zone
  command -v firewall-cmd >/dev/null || return 0
  rule=$(rich_rule "$1" "$2")
  while read -r zone; do
    before_edit "$ZONES/$zone.xml"
    permanently --zone="$zone" --remove-rich-rule="$rule" || true
    firewall-cmd -q --zone="$zone" --remove-rich-rule="$rule" || true
    after_edit "$ZONES/$zone.xml"
  done < <(opened_zones)
}

close_in_iptables() { # iptables|ip6tables network port
  local file=$SYSCONFIG/$1 rule
  rule=$(input_rule "$2" "$3")
  # shellcheck disable=SC2086
  "$1" -w -D $rule 2>/dev/null || true
  [ -e "$file" ] || return 0
  before_edit "$file"
  sed -i "\\,^-[IA] $rule\$,d" "$file"
  after_edit "$file"
}

close_again() { # keeps what is read on standard input, closes the rest
  local keep kind network port left=''
  keep=$(cat)
  [ -e "$OPENED" ] || return 0
  while read -r kind network port; do
    if grep -qxF "$network $port" <<<"$keep"; then
      left+="$kind $network $port"$'\n'
    elif [ "$kind" = firewalld ]; then
      close_in_firewalld "$network" "$port"
    else
      close_in_iptables "$kind" "$network" "$port"
    fi
  done <"$OPENED"
  printf '%s' "$left" >"$OPENED"
  [ -s "$OPENED" ] || rm -f "$OPENED"
}

case $action in
  apply)
    keep_undo "$ports" ${openings[@]+"${openings[@]}"}
    if ! command -v nft >/dev/null; then yum install -y -q nftables >&2; fi
    put_file "$RULES" 600 root:root
    watch file "$RULES" shown
    rules=$outcome
    nft -c -f "$RULES" || die "nft does not accept $RULES: its message is above"
    # One transaction: there is no moment without a rule.
    { cat "$RULES" && leaving_ports && closed_ports; } | nft -f /dev/stdin
    put_file "$UNIT" 644 root:root < <(unit)
    [ "$outcome" = unchanged ] || systemctl daemon-reload
    systemctl enable -q registry-cache-firewall
    systemctl is-active -q registry-cache-firewall || systemctl start registry-cache-firewall
    watch service registry-cache-firewall
    watch nft 'inet registry_cache' shown
    wanted_openings | close_again
    while read -r network port; do
      case $network in *:*) tables=ip6tables ;; *) tables=iptables ;; esac
      if systemctl is-active -q firewalld; then
        open_in_firewalld "$network" "$port"
        watch opening "firewalld $network $port" open
      elif systemctl is-active -q "$tables"; then
        open_in_iptables "$tables" "$network" "$port"
        watch opening "$tables $network $port" open
      fi
    done < <(wanted_openings)
    echo "firewall: rules $rules"
    ;;
  restore)
    mapfile -t untouched < <(untouched_files)
    close_again </dev/null
    put_files_back ${untouched[@]+"${untouched[@]}"}
    systemctl disable -q --now registry-cache-firewall 2>/dev/null || true
    nft delete table inet registry_cache 2>/dev/null || true
    put_back "$UNIT"
    put_back "$RULES"
    systemctl daemon-reload
    forget_undo
    echo "firewall: as before"
    ;;
esac
