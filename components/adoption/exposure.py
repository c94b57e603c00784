"""Who reaches a published port: which rules limit it, and which look as if they did.

Docker publishes a port by DNAT before the INPUT chain, so that neither an INPUT rule nor a zone of firewalld
opens or shuts it (docs/adr/0001). What does: the raw and mangle tables' PREROUTING, what stands before
Docker's own chains in FORWARD, DOCKER-USER above all, and nftables chains hooked in there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from components.adoption.facts import Firewall, Published, Registry

_PORTS = "[0-9]+(?:[:-][0-9]+)?"
# Tables that iptables-nft keeps: nft shows them too.
_OF_IPTABLES = re.compile(r"^(ip|ip6) (filter|nat|raw|mangle|security)$")


@dataclass(frozen=True)
class Exposure:
    """Whether whoever reaches the host reaches the port; if not, by what. And the rules that do nothing."""

    open: bool
    limited_by: str = ""
    idle: Sequence[str] = ()
    unreached: Sequence[str] = ()
    """Rules that would limit it, but stand after one that lets everything pass."""


def of(registry: Registry, way: Published, firewall: Firewall) -> Exposure:
    """Judge one way in."""
    if not way.from_outside:
        return Exposure(open=False, limited_by=f"it listens on {way.address} only")
    if registry.network == "host":
        return _in_the_hosts_network(way, firewall)
    limits, unreached = _before_docker(way, firewall)
    return Exposure(
        open=not limits,
        limited_by=limits[0] if limits else "",
        idle=list(_idle(way, firewall)),
        unreached=unreached,
    )


def _tables(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    table = ""
    for line in lines:
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith("-A "):
            yield table, line


def _before_docker(way: Published, firewall: Firewall) -> tuple[list[str], list[str]]:
    limits: list[str] = []
    unreached: list[str] = []
    let_pass: set[str] = set()
    for table, rule in _tables(firewall.iptables):
        chain = rule.split()[1]
        drops = re.search(r" -j (DROP|REJECT)\b", rule) is not None
        if table in ("raw", "mangle") and chain == "PREROUTING":
            if drops and _names(rule, way.port):
                limits.append(f"{table} PREROUTING: {rule}")
        elif table == "filter" and chain in ("DOCKER-USER", "FORWARD"):
            if (
                re.fullmatch(r"-A \S+ -j (RETURN|ACCEPT|DOCKER\S*)", rule)
                and "DOCKER-USER" not in rule.split()[2:]
            ):
                let_pass.add(chain)
            elif drops and (_names(rule, way.inner) or _originally(rule, way.port) or _no_port(rule)):
                # A bare REJECT at the end of FORWARD comes after Docker's own rules.
                (unreached if chain in let_pass else limits).append(f"{chain}: {rule}")
    limits += _nft_limits(way, firewall.nft)
    return limits, [rule for rule in unreached if rule.startswith("DOCKER-USER")]


def _nft_limits(way: Published, ruleset: str) -> list[str]:
    found = []
    for table, body in re.findall(r"^table (\S+ \S+) \{\n(.*?)^\}", ruleset, re.MULTILINE | re.DOTALL):
        if _OF_IPTABLES.match(table) or table == "inet firewalld":
            continue
        for chain, rules in re.findall(r"^\tchain (\S+) \{\n(.*?)^\t\}", body, re.MULTILINE | re.DOTALL):
            hook = re.search(r"hook (prerouting|forward|ingress)", rules)
            port = way.inner if hook and hook[1] == "forward" else way.port
            if hook and any(
                re.search(r"\b(drop|reject)\b", rule) and _names(rule, port) for rule in rules.splitlines()
            ):
                found.append(f"nft table {table}, chain {chain}")
    return found


def _idle(way: Published, firewall: Firewall) -> Iterator[str]:
    for zone, ports in firewall.zone_ports.items():
        for opened in ports:
            if _covers(opened.partition("/")[0], way.port):
                yield f"firewalld opens {opened} in zone {zone}"
    for table, rule in _tables(firewall.iptables):
        if table == "filter" and rule.split()[1] == "INPUT" and _names(rule, way.port):
            yield f"iptables has {rule}"


def _in_the_hosts_network(way: Published, firewall: Firewall) -> Exposure:
    """With the host's network, INPUT and the zones do decide."""
    if firewall.firewalld:
        opened = [
            zone
            for zone, ports in firewall.zone_ports.items()
            if any(_covers(port.partition("/")[0], way.port) for port in ports)
        ]
        return Exposure(
            open=bool(opened), limited_by="" if opened else "no zone of firewalld opens it to everyone"
        )
    for table, rule in _tables(firewall.iptables):
        if table != "filter" or rule.split()[1] != "INPUT":
            continue
        if re.search(r" -j ACCEPT\b", rule) and _names(rule, way.port) and " -s " not in rule:
            return Exposure(open=True)
        if re.search(r" -j (DROP|REJECT)\b", rule) and (_names(rule, way.port) or _no_port(rule)):
            return Exposure(open=False, limited_by=f"iptables: {rule}")
    dropped = any(line.startswith(":INPUT DROP") for line in firewall.iptables)
    return Exposure(open=not dropped, limited_by="iptables: INPUT drops by default" if dropped else "")


def _names(rule: str, port: int) -> bool:
    """Whether a rule is for that destination port."""
    found = re.findall(rf"(?:--dports?|(?:tcp|th) dport) (?:\{{ ?)?({_PORTS}(?:, ?{_PORTS})*)", rule)
    return any(_covers(part.strip(), port) for ports in found for part in ports.split(","))


def _originally(rule: str, port: int) -> bool:
    found = re.search(r"--ctorigdstport ([0-9:]+)", rule)
    return found is not None and _covers(found[1], port)


def _no_port(rule: str) -> bool:
    """Whether a rule drops whatever comes from outside of what was allowed before, on every port."""
    return not re.search(r"port|-p icmp|ctstate|--state|-d 172\.|INVALID", rule)


def _covers(ports: str, port: int) -> bool:
    first, _, last = ports.replace("-", ":").partition(":")
    if not first.isdigit() or (last and not last.isdigit()):
        return False
    return int(first) <= port <= int(last or first)
