"""Who may reach the caches' ports, by an nftables table of its own that no firewall flushes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components.host import Host
from components.lib import access_rules


@dataclass(frozen=True)
class FirewallArgs:
    """``networks`` are CIDRs, IPv4 and IPv6; nobody else reaches ``ports``. ``metrics`` have their own."""

    host: Host
    ports: Sequence[int]
    networks: Sequence[str]
    metrics: access_rules.Metrics | None = None


class Firewall(pulumi.ComponentResource):
    """The limit on who reaches the published ports (docs/adr explains why it is this way)."""

    def __init__(self, name: str, args: FirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("registry-cache:index:Firewall", name, None, opts)
        self.ready = args.host.run(
            "firewall",
            "firewall.sh",
            ",".join(str(port) for port in sorted(args.ports)),
            *access_rules.openings(args.ports, args.networks, args.metrics),
            stdin=access_rules.render(args.ports, args.networks, args.metrics),
            parent=self,
        )
        self.register_outputs({})
