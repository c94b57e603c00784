# shellcheck shell=bash
# Who may reach the caches: an nftables table of our own, hooked before Docker's DNAT.
# Neither firewalld, iptables-services nor Docker touches a table of somebody else.
# Standard input: the ruleset. apply PORTS NETWORK6… (ports: comma-separated)
# shellcheck source=on_host.sh
. "${0%/*}/on_host.sh"

action=$1 ports=$2
shift 2
networks6=("$@")
RULES=/etc/registry-cache/firewall.nft
UNIT=/etc/systemd/system/registry-cache-firewall.service
OPENED=$RECORDS/firewall-opened
IP6TABLES=/etc/sysconfig/ip6tables
ZONES=/etc/firewalld/zones
ZONE_WROTE=$RECORDS/firewall-zone-wrote

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

# IPv4 reaches a published port by Docker's DNAT, past INPUT. IPv6 reaches Docker's
# proxy through INPUT, so there the host's own firewall has to let it in.
wanted_openings() {
  local network port
  for network in ${networks6[@]+"${networks6[@]}"}; do
    for port in ${ports//,/ }; do printf '%s %s\n' "$network" "$port"; done
  done
}

rich_rule() { printf 'rule family="ipv6" source address="%s" port port="%s" protocol="tcp" accept' "$1" "$2"; }
input_rule() { printf -- 'INPUT -s %s -p tcp -m tcp --dport %s -m comment --comment registry-cache -j ACCEPT' "$1" "$2"; }

open_in_firewalld() { # network port
  local rule zone
  rule=$(rich_rule "$1" "$2")
  firewall-cmd -q --permanent --query-rich-rule="$rule" && return 0
  zone=$ZONES/$(firewall-cmd --get-default-zone).xml
  remember "$zone"
  remember "$zone.old"
  echo "firewalld $1 $2" >>"$OPENED"
  firewall-cmd -q --permanent --add-rich-rule="$rule"
  firewall-cmd -q --query-rich-rule="$rule" || firewall-cmd -q --add-rich-rule="$rule"
  sha256sum "$zone" >"$ZONE_WROTE"
}

# A zone file that nobody else wrote to since goes back to what it was, to the byte.
put_zone_back() { # unchanged(yes|no)
  local zone
  [ -e "$ZONE_WROTE" ] || return 0
  zone=$(sed 's/^[^ ]* *//' "$ZONE_WROTE")
  if [ "$1" = yes ]; then
    put_back "$zone"
    put_back "$zone.old"
  else
    forget "$zone"
    forget "$zone.old"
  fi
  rm -f "$ZONE_WROTE"
}

open_in_ip6tables() { # network port
  local rule
  rule=$(input_rule "$1" "$2")
  grep -qxF -e "-I $rule" "$IP6TABLES" 2>/dev/null && return 0
  echo "ip6tables $1 $2" >>"$OPENED"
  # shellcheck disable=SC2086
  ip6tables -w -C $rule 2>/dev/null || ip6tables -w -I $rule
  remember "$IP6TABLES"
  sed "0,/^COMMIT/s,^COMMIT,-I $rule\nCOMMIT," "$IP6TABLES" >"$IP6TABLES.registry-cache"
  chmod --reference="$IP6TABLES" "$IP6TABLES.registry-cache"
  mv -f "$IP6TABLES.registry-cache" "$IP6TABLES"
}

close_again() { # keeps what is read on standard input, closes the rest
  local keep kind network port rule left=''
  keep=$(cat)
  [ -e "$OPENED" ] || return 0
  while read -r kind network port; do
    if grep -qxF "$network $port" <<<"$keep"; then
      left+="$kind $network $port"$'\n'
      continue
    fi
    case $kind in
      firewalld)
        rule=$(rich_rule "$network" "$port")
        firewall-cmd -q --permanent --remove-rich-rule="$rule" || true
        firewall-cmd -q --remove-rich-rule="$rule" || true
        ;;
      ip6tables)
        rule=$(input_rule "$network" "$port")
        # shellcheck disable=SC2086
        ip6tables -w -D $rule 2>/dev/null || true
        sed -i "\\,^-I $rule\$,d" "$IP6TABLES"
        ;;
    esac
  done <"$OPENED"
  printf '%s' "$left" >"$OPENED"
  [ -s "$OPENED" ] || rm -f "$OPENED"
}

case $action in
  apply)
    keep_undo "$ports" ${networks6[@]+"${networks6[@]}"}
    if ! command -v nft >/dev/null; then yum install -y -q nftables >&2; fi
    put_file "$RULES" 600 root:root
    rules=$outcome
    nft -c -f "$RULES" || die "nft does not accept $RULES: its message is above"
    # One transaction: there is no moment without a rule.
    nft -f "$RULES"
    put_file "$UNIT" 644 root:root < <(unit)
    [ "$outcome" = unchanged ] || systemctl daemon-reload
    systemctl enable -q registry-cache-firewall
    systemctl is-active -q registry-cache-firewall || systemctl start registry-cache-firewall
    wanted_openings | close_again
    while read -r network port; do
      if systemctl is-active -q firewalld; then
        open_in_firewalld "$network" "$port"
      elif systemctl is-active -q ip6tables; then
        open_in_ip6tables "$network" "$port"
      fi
    done < <(wanted_openings)
    echo "firewall: rules $rules"
    ;;
  restore)
    zone_unchanged=no
    if [ -e "$ZONE_WROTE" ] && sha256sum -c --status "$ZONE_WROTE"; then zone_unchanged=yes; fi
    close_again </dev/null
    put_zone_back "$zone_unchanged"
    systemctl disable -q --now registry-cache-firewall 2>/dev/null || true
    nft delete table inet registry_cache 2>/dev/null || true
    put_back "$UNIT"
    put_back "$RULES"
    systemctl daemon-reload
    forget_undo
    echo "firewall: as before"
    ;;
esac
