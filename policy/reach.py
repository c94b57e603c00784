"""Whom an nftables ruleset lets through to which port: what the firewall step will load, read back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.lib import access_rules

_CHAIN = re.compile(r"^\s*chain (\w+) \{\n(.*?)^\s*\}", re.DOTALL | re.MULTILINE)
_JUMP = re.compile(r"^\s*fib daddr type local tcp dport \{?([0-9, -]+)\}? jump (\w+)$", re.MULTILINE)
_ACCEPT = re.compile(r"^\s*ip6? saddr \{?([0-9a-fA-F.:/, ]+)\}? accept$", re.MULTILINE)
_DROP = re.compile(r"^\s*(counter )?drop$")
_LOOPBACK = re.compile(r'^\s*iifname "lo" accept$')
_EVERYONE = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True)
class Reach:
    """The networks that reach each port that the ruleset names; every other port it leaves alone.

    `caches` are those of the ports that caches are behind.
    """

    ports: Mapping[int, Sequence[str]]
    caches: Sequence[int]

    def is_limited(self, port: int) -> bool:
        """Whether not everyone reaches a port."""
        return port in self.ports and not self.open_to(port)

    def open_to(self, port: int) -> list[str]:
        """Those of a port's networks that are as good as the whole world."""
        return access_rules.everyone_in(self.ports.get(port, ()))


def read(ruleset: str) -> Reach | None:
    """What a ruleset in the form of components/lib/access_rules.py says; None for another text.

    A chain with a line that is not understood, or that does not end by dropping, counts as open to all.
    """
    if "table inet registry_cache {" not in ruleset:
        return None
    chains = {name: body.splitlines() for name, body in _CHAIN.findall(ruleset)}
    jumps = {int(port): chain for listed, chain in _JUMP.findall(ruleset) for port in listed.split(",")}
    return Reach(
        {port: _networks(chains.get(chain, [])) for port, chain in jumps.items()},
        [port for port, chain in jumps.items() if chain == "caches"],
    )


def _networks(lines: Sequence[str]) -> list[str]:
    if not lines or not _DROP.match(lines[-1]):
        return list(_EVERYONE)
    allowed: list[str] = []
    for line in lines[:-1]:
        accepted = _ACCEPT.match(line)
        if accepted:
            allowed += [part.strip() for part in accepted[1].split(",")]
        elif line.strip() and not _LOOPBACK.match(line):
            return list(_EVERYONE)
    return allowed
