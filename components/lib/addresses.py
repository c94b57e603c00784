"""Names and addresses, told apart."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ServerNames:
    """The DNS names and IP addresses that a server's certificate is good for."""

    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]


def is_ip(text: str) -> bool:
    """True for an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def server_names(address: str, hostname: str | None, further: Sequence[str], name: str) -> ServerNames:
    """Everything that a mirror may be asked by, each once, in a stable order."""
    every = dict.fromkeys([*([hostname] if hostname else []), address, *further, name])
    return ServerNames(
        tuple(entry for entry in every if not is_ip(entry)), tuple(entry for entry in every if is_ip(entry))
    )
