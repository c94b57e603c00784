"""The network of one lab: IPv4 and IPv6, in ranges that nothing on this machine uses."""

import hashlib
import ipaddress
import json
from dataclasses import dataclass

from lab.command import docker, output_of
from lab.errors import LabError

POOL = ipaddress.IPv4Network("10.213.0.0/16")
INTERNET = 2


@dataclass(frozen=True)
class LabNetwork:
    """The subnets of a lab; hosts in the lower part are inside the allowed networks, others outside."""

    name: str
    v4: ipaddress.IPv4Network
    v6: ipaddress.IPv6Network

    def address4(self, number: int) -> str:
        """The IPv4 address of the host with this number."""
        return str(self.v4[number])

    def address6(self, number: int) -> str:
        """The IPv6 address of the host with this number; from 128 on outside the allowed network too."""
        return str(self.v6[number if number < 128 else 0x10000 + number])

    @property
    def allowed(self) -> tuple[str, str]:
        """The networks for `access.networks`: the lower half of the IPv4 subnet, and a /112 for IPv6."""
        lower = next(self.v4.subnets(prefixlen_diff=1))
        return str(lower), f"{self.v6.network_address}/112"


def _taken() -> list[ipaddress.IPv4Network]:
    routes = json.loads(output_of(["ip", "-json", "-4", "route", "show", "table", "all"]))
    found = [route["dst"] for route in routes if route["dst"] != "default"]
    found += _subnets(docker("network", "ls", "-q").split())
    return [ipaddress.IPv4Network(text, strict=False) for text in found if ":" not in text]


def _subnets(networks: list[str]) -> list[str]:
    template = "{{range .IPAM.Config}}{{println .Subnet}}{{end}}"
    return docker("network", "inspect", "-f", template, *networks).split() if networks else []


def find_network(name: str) -> LabNetwork | None:
    """The network of that name, if it is there."""
    if name not in docker("network", "ls", "--format", "{{.Name}}").split():
        return None
    subnets = [ipaddress.ip_network(text) for text in _subnets([name])]
    v4 = next((subnet for subnet in subnets if isinstance(subnet, ipaddress.IPv4Network)), None)
    v6 = next((subnet for subnet in subnets if isinstance(subnet, ipaddress.IPv6Network)), None)
    if v4 is None or v6 is None:
        raise LabError(
            f"the Docker network {name} is not as a lab makes it; remove it: docker network rm {name}"
        )
    return LabNetwork(name, v4, v6)


def ensure_network(name: str, labels: dict[str, str], *, sealed: bool = True) -> LabNetwork:
    """The network `name`; made, where missing, in the first free range from a place that its name gives.

    Nothing leaves a `sealed` one.
    """
    found = find_network(name)
    if found is not None:
        return found
    digest = hashlib.sha256(name.encode()).digest()
    v6 = ipaddress.IPv6Network((bytes([0xFD]) + digest[1:8] + bytes(8), 64))
    candidates = list(POOL.subnets(new_prefix=24))
    first = digest[0]
    label_options = [option for key, value in labels.items() for option in ("--label", f"{key}={value}")]
    problem = LabError(f"no /24 of {POOL} is free on this machine")
    for v4 in candidates[first:] + candidates[:first]:
        if any(v4.overlaps(taken) for taken in _taken()):
            continue
        # Without masquerading, no answer would find its way back.
        masquerade = f"com.docker.network.bridge.enable_ip_masquerade={'false' if sealed else 'true'}"
        subnets = ["--subnet", str(v4), "--ipv6", "--subnet", str(v6)]
        try:
            docker("network", "create", *label_options, "--opt", masquerade, *subnets, name)
        except LabError as error:
            # Another lab may have taken the range since it was looked at.
            problem = error
            continue
        return LabNetwork(name, v4, v6)
    raise problem
