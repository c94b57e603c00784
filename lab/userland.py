"""What a lab's hosts are made of: the prototype's userland, or a real one of RHEL's family (LAB_BASE).

On a real userland the rest is real too: no 'internet' and no upstream stands in, and the hosts reach
download.docker.com, Docker Hub and their own package repositories themselves.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

VARIABLE = "LAB_BASE"
PROTOTYPE = "prototype"
RESOLVER_FILES = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))
"""Where this machine's name servers stand; the first knows those behind systemd's own resolver."""


@dataclass(frozen=True)
class Userland:
    """An image that has systemd, or a dnf that installs it."""

    name: str
    image: str


REAL = (
    Userland(
        "rocky8",
        "docker.io/rockylinux/rockylinux:8@sha256:e8a49c5403b687db05d4d67333fa45808fbe74f36e683cec7abb1f7d0f2338c6",
    ),
    Userland(
        "rocky9",
        "docker.io/rockylinux/rockylinux:9@sha256:8101994123cf3d0a8fee517bee7f39e555c7d92bd2d9eb3303cc988a0eeed00f",
    ),
    Userland(
        "alma9",
        "docker.io/library/almalinux:9@sha256:9819dc675b67b595c2b59e42be7763fca1a8bb217fa5944e04daa22e9a64db16",
    ),
)


def chosen(environment: Mapping[str, str]) -> Userland | None:
    """The real userland that LAB_BASE names, or whose image it is; None for the prototype's."""
    wanted = environment.get(VARIABLE) or PROTOTYPE
    if wanted == PROTOTYPE:
        return None
    for userland in REAL:
        if userland.name == wanted:
            return userland
    if "/" in wanted:
        return Userland("own", wanted)
    known = ", ".join([PROTOTYPE, *(userland.name for userland in REAL)])
    raise LabError(
        f"{VARIABLE} is {wanted!r}; it may be {known}, or an image, as in docker.io/library/almalinux:9"
    )


def name_servers(files: Sequence[Path] = RESOLVER_FILES) -> list[str]:
    """The name servers of this machine that a container can ask too. Raises LabError where there is none."""
    for file in files:
        text = file.read_text() if file.is_file() else ""
        named = [
            line.split()[1]
            for line in text.splitlines()
            if line.split()[:1] == ["nameserver"] and line.split()[1:]
        ]
        found = [
            address for address in named if not ipaddress.ip_address(address.partition("%")[0]).is_loopback
        ]
        if found:
            return found
    raise LabError(
        f"this machine asks only itself for names ({', '.join(map(str, files))}): hosts with a real userland "
        "need a name server that they can reach"
    )
