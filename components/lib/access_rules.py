"""The nftables ruleset that limits who reaches the caches."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_LARGEST = {4: 2**24, 6: 2**112}
"""How many public addresses one network may have and not be everyone's: a /8 or, for IPv6, a /16."""
_PRIVATE = [ipaddress.ip_network(network) for network in ("10.0.0.0/8", "fc00::/7", "fe80::/10")]
"""The private networks that are as large as that."""


def everyone_in(networks: Sequence[str]) -> list[str]:
    """Those of the CIDRs, put together, that let in so much of the public internet that it is everyone.

    Two halves of it do what the whole does, and one half, or all the addresses given out, hardly less.
    """
    every = [*_collapsed(networks, 4), *_collapsed(networks, 6)]
    return [str(network) for network in every if _public_addresses(network) > _LARGEST[network.version]]


def _public_addresses(network: _Network) -> int:
    private = [other.num_addresses for other in _PRIVATE if network.overlaps(other)]
    return network.num_addresses - min(network.num_addresses, sum(private))


def ipv6_networks(networks: Sequence[str]) -> list[str]:
    """Those of the CIDRs that are IPv6, in their canonical form."""
    return [str(network) for network in _collapsed(networks, 6)]


@dataclass(frozen=True)
class Metrics:
    """The port that metrics are served at, and the CIDRs that may read them."""

    port: int
    networks: Sequence[str]


def openings(ports: Sequence[int], networks: Sequence[str], metrics: Metrics | None) -> list[str]:
    """What the host's own firewall has to let in, each as NETWORK=PORT.

    IPv4 reaches a published port by Docker's DNAT, past INPUT; IPv6 reaches Docker's proxy through it, as
    everybody reaches the metrics.
    """
    wanted = [f"{network}={port}" for port in sorted(ports) for network in ipv6_networks(networks)]
    if metrics is not None:
        every = [*_collapsed(metrics.networks, 4), *_collapsed(metrics.networks, 6)]
        wanted += [f"{network}={metrics.port}" for network in every]
    return wanted


def render(ports: Sequence[int], networks: Sequence[str], metrics: Metrics | None = None) -> str:
    """A ruleset that replaces its own earlier version in one transaction.

    It is hooked before connection tracking (priority -300), so it sees the port that the client
    asked for, before Docker's DNAT turns it into the container's. ``fib daddr type local`` leaves
    alone what only passes through: without it, containers on a mirror could reach no other host
    on the same port, the upstream's 443 first of all. The sets are for firewall.sh: `leaving` has
    ports that caches are still published at and soon will not be, `closed` one that metrics are.
    """
    to_caches = "{ " + ", ".join(str(port) for port in sorted(ports)) + " }"
    of_metrics = [] if metrics is None else _chain("metrics", metrics.networks)
    to_metrics = (
        [] if metrics is None else [f"    fib daddr type local tcp dport {metrics.port} jump metrics"]
    )
    lines = [
        "# Written by registry-cache: changes by hand are lost.",
        "table inet registry_cache",
        "delete table inet registry_cache",
        "table inet registry_cache {",
        "  set leaving {",
        "    type inet_service; flags timeout;",
        "  }",
        "  set closed {",
        "    type inet_service; flags timeout;",
        "  }",
        *_chain("caches", networks),
        *of_metrics,
        "  chain before_docker {",
        "    type filter hook prerouting priority -300; policy accept;",
        f"    fib daddr type local tcp dport {to_caches} jump caches",
        "    fib daddr type local tcp dport @leaving jump caches",
        *to_metrics,
        '    iifname != "lo" fib daddr type local tcp dport @closed counter drop',
        "  }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _chain(name: str, networks: Sequence[str]) -> list[str]:
    v4 = ", ".join(str(network) for network in _collapsed(networks, 4))
    v6 = ", ".join(str(network) for network in _collapsed(networks, 6))
    return [
        f"  chain {name} {{",
        '    iifname "lo" accept',
        *([f"    ip saddr {{ {v4} }} accept"] if v4 else []),
        *([f"    ip6 saddr {{ {v6} }} accept"] if v6 else []),
        "    counter drop",
        "  }",
    ]


def _collapsed(networks: Sequence[str], version: int) -> list[_Network]:
    # nft refuses a set whose intervals overlap.
    parsed = [ipaddress.ip_network(network) for network in networks]
    if version == 4:
        return list(ipaddress.collapse_addresses(n for n in parsed if isinstance(n, ipaddress.IPv4Network)))
    return list(ipaddress.collapse_addresses(n for n in parsed if isinstance(n, ipaddress.IPv6Network)))
