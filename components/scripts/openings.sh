# shellcheck shell=bash
# How the host's own firewall is told to let something in: what firewall.sh writes, and facts.sh looks for.

rich_rule() { # network port
  local family=ipv4
  case $1 in *:*) family=ipv6 ;; esac
  printf 'rule family="%s" source address="%s" port port="%s" protocol="tcp" accept' "$family" "$1" "$2"
}

input_rule() { # network port
  local source="-s $1 "
  # As iptables-save writes it: a network of everybody is no condition.
  case $1 in */0) source= ;; esac
  printf 'INPUT %s-p tcp -m tcp --dport %s -m comment --comment registry-cache -j ACCEPT' "$source" "$2"
}
