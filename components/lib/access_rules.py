"""The nftables ruleset that limits who reaches the caches."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence


def ipv6_networks(networks: Sequence[str]) -> list[str]:
    """Those of the CIDRs that are IPv6, in their canonical form."""
    return [str(network) for network in _collapsed(networks, 6)]


def render(ports: Sequence[int], networks: Sequence[str]) -> str:
    """A ruleset that replaces its own earlier version in one transaction.

    It is hooked before connection tracking (priority -300), so it sees the port that the client
    asked for, before Docker's DNAT turns it into the container's. ``fib daddr type local`` leaves
    alone what only passes through: without it, containers on a mirror could reach no other host
    on the same port, the upstream's 443 first of all. The set `leaving` is for firewall.sh: ports
    that caches are still published at and soon will not be.
    """
    v4 = ", ".join(str(network) for network in _collapsed(networks, 4))
    v6 = ", ".join(str(network) for network in _collapsed(networks, 6))
    to_caches = "{ " + ", ".join(str(port) for port in sorted(ports)) + " }"
    allowed = [f"    ip saddr {{ {v4} }} accept"] if v4 else []
    allowed += [f"    ip6 saddr {{ {v6} }} accept"] if v6 else []
    lines = [
        "# Written by registry-cache: changes by hand are lost.",
        "table inet registry_cache",
        "delete table inet registry_cache",
        "table inet registry_cache {",
        "  set leaving {",
        "    type inet_service; flags timeout;",
        "  }",
        "  chain caches {",
        '    iifname "lo" accept',
        *allowed,
        "    counter drop",
        "  }",
        "  chain before_docker {",
        "    type filter hook prerouting priority -300; policy accept;",
        f"    fib daddr type local tcp dport {to_caches} jump caches",
        "    fib daddr type local tcp dport @leaving jump caches",
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _collapsed(networks: Sequence[str], version: int) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    # nft refuses a set whose intervals overlap.
    parsed = [ipaddress.ip_network(network) for network in networks]
    if version == 4:
        return list(ipaddress.collapse_addresses(n for n in parsed if isinstance(n, ipaddress.IPv4Network)))
    return list(ipaddress.collapse_addresses(n for n in parsed if isinstance(n, ipaddress.IPv6Network)))
