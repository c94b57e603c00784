"""The hosts a lab can have, by name."""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from lab.errors import LabError

DOCKER_OLD = "20.10.24"
DOCKER_NEW = "28.5.2"

Release: TypeAlias = Literal["el7", "el8", "el9", "el10"]
Firewall: TypeAlias = Literal["firewalld", "iptables-services", "none"]
Role: TypeAlias = Literal["mirror", "client", "other"]


@dataclass(frozen=True)
class HostSpec:
    """One host of a lab.

    Attributes:
        number: the last part of its addresses, one host each.
        release: which os-release, yum repositories and release package it has.
        docker: the version that is installed and runs before anything else happens, or None.
        role: where `stack.yaml` lists it.
        allowed: whether its addresses are inside the networks that `access.networks` lists.
        user: who may log in by SSH; any other than root has sudo without password, and root is refused.
        iptables_place: `sbin` where iptables is at /sbin/iptables only, and /sbin not on a login's PATH.
        only_from: the name of the only host from which SSH logs in (a jump host), or None.
        light: stand-ins in place of docker and dockerd; a few MiB, to have dozens.
    """

    name: str
    number: int
    release: Release = "el9"
    firewall: Firewall = "firewalld"
    docker: str | None = None
    role: Role = "other"
    allowed: bool = True
    user: str = "root"
    iptables_place: Literal["usr-sbin", "sbin"] = "usr-sbin"
    only_from: str | None = None
    light: bool = False


DEFAULT_HOSTS = ("mirror-1", "client-1", "client-2")
LIGHT_HOSTS = 60
LIGHT = HostSpec("light", 60, role="client", firewall="none", light=True)

HOSTS: tuple[HostSpec, ...] = (
    HostSpec("mirror-1", 11, role="mirror"),
    HostSpec("mirror-2", 12, role="mirror", firewall="iptables-services"),
    HostSpec("mirror-3", 13, role="mirror", firewall="none", iptables_place="sbin"),
    HostSpec("client-1", 21, role="client", docker=DOCKER_NEW, firewall="none"),
    HostSpec("client-2", 22, role="client", docker=DOCKER_OLD, firewall="iptables-services"),
    HostSpec("client-3", 23, role="client", docker=DOCKER_NEW),
    HostSpec("blank-el7", 31, release="el7"),
    HostSpec("blank-el8", 32, release="el8"),
    HostSpec("blank-el9", 33, release="el9", firewall="none"),
    HostSpec("blank-el10", 34, release="el10"),
    HostSpec("operated", 41, user="operator"),
    HostSpec("jump", 42, firewall="none"),
    HostSpec("behind-jump", 43, only_from="jump"),
    HostSpec("stranger", 200, docker=DOCKER_NEW, firewall="none", allowed=False),
    *(replace(LIGHT, name=f"light-{n}", number=LIGHT.number + n) for n in range(1, LIGHT_HOSTS + 1)),
)


def host_named(name: str) -> HostSpec:
    """The host of that name; LabError with the known names for any other."""
    for spec in HOSTS:
        if spec.name == name:
            return spec
    known = ", ".join(spec.name for spec in HOSTS if not spec.light)
    raise LabError(f"the lab has no host {name!r}; it knows {known} and light-1 to light-{LIGHT_HOSTS}")
