"""A whole lab: made, repaired, described for the program, and removed."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from lab.command import docker
from lab.containers import HOST_OPTIONS, ContainerSpec, HostFile, ensure_container
from lab.engine import (
    BUILDING,
    PROGRAMS,
    engine_answers,
    engine_in_use,
    install_programs,
    stop_idle_engine,
)
from lab.errors import LabError
from lab.hosts import DEFAULT_HOSTS, HOSTS, HostSpec, host_named
from lab.images import Built, ensure_images
from lab.keys import ensure_key
from lab.machine import LabHost
from lab.network import INTERNET, LabNetwork, ensure_network, find_network
from lab.pieces import SHARED, Piece, host_pieces, real_host_pieces
from lab.places import state_directory
from lab.progress import step
from lab.proxy import NAME as PROXY_NAME
from lab.proxy import OutboundProxy
from lab.upstream import UPSTREAMS, Upstream, UpstreamSpec, upstream_named
from lab.userland import Userland, chosen, name_servers

LAB_LABEL = "registry-cache.lab"
STATE_LABEL = "registry-cache.lab.state"
PARALLEL = 8
"""Hosts that are made or waited for at the same time."""

OPERATOR_IDS = (1000, 37)
"""The user and group id of `operator` in the host images."""

INTERNET_NAMES = [
    "download.docker.com",
    "mirrors.example.test",
    "forged.example.test",
    "dl.rockylinux.org",
    "vault.centos.org",
    PROXY_NAME,
]

CUT = "inet lab_cut"
"""The nftables table that keeps a host from the upstreams."""


class Lab:
    """The lab `name`, with its files in `state_dir` (default: `.state/lab/NAME` of this clone).

    Two labs whose state directories differ have nothing in common but the cached images. With a real
    `userland` (userland.py; by default what LAB_BASE names) nothing stands in for the internet.
    """

    def __init__(self, name: str, state_dir: Path | None = None, userland: Userland | None = None) -> None:
        if not name.replace("-", "").isalnum() or not name.isascii() or len(name) > 30:
            raise LabError(f"a lab's name is made of up to 30 letters, digits and hyphens, not {name!r}")
        self.name = name
        self.userland = userland or chosen(os.environ)
        self.state_dir = (state_dir or state_directory(name)).resolve()
        place = hashlib.sha256(str(self.state_dir).encode()).hexdigest()[:6]
        self._id = f"registry-cache-lab-{name}-{place}"
        self._hosts: dict[str, LabHost] = {}

    @property
    def network(self) -> LabNetwork:
        """Its subnets; LabError before `up`."""
        found = find_network(self._id)
        if found is None:
            raise LabError(f"the lab {self.name} is not up: python -m lab up --name {self.name}")
        return found

    @property
    def upstream(self) -> Upstream:
        """The registry that answers as registry-1.docker.io."""
        return self.upstream_of("docker.io")

    def upstream_of(self, registry: str) -> Upstream:
        """The registry that answers as that one: docker.io, ghcr.io, registry.k8s.io, gcr.io or quay.io."""
        if self.userland is not None:
            raise LabError(
                f"on {self.userland.name} the upstream is the real {registry}, which tells us nothing"
            )
        return Upstream(self._container(upstream_named(registry).container), self._names())

    @property
    def proxy(self) -> OutboundProxy:
        """The outbound proxy of the 'internet'."""
        return OutboundProxy(self._container("internet"), self._names())

    def cut_off(self, name: str) -> None:
        """Keep a host, and the containers on it, from all upstreams; the proxy it still reaches."""
        network = self.network
        v4, v6 = (
            ", ".join(address(spec.number) for spec in UPSTREAMS)
            for address in (network.address4, network.address6)
        )
        rules = f"ip daddr {{ {v4} }} reject\nip6 daddr {{ {v6} }} reject\n"
        chains = "".join(
            f"chain {hook} {{\ntype filter hook {hook} priority -10\n{rules}}}\n"
            for hook in ("output", "forward")
        )
        self.reconnect(name)
        self._nft(name, f"table {CUT} {{\n{chains}}}\n")

    def reconnect(self, name: str) -> None:
        """Take back `cut_off`."""
        self._nft(name, f"add table {CUT}\ndelete table {CUT}\n")

    @property
    def private_key_file(self) -> Path:
        """The key that logs in to all its hosts."""
        return self.state_dir / "id_ed25519"

    @property
    def known_hosts_file(self) -> Path:
        """The pinned host keys, by address and by name."""
        return self.state_dir / "known_hosts"

    @property
    def registry_images(self) -> dict[str, str]:
        """For "2" and "3": `registry:N@sha256:…` as the upstream serves it."""
        if self.userland is not None:
            raise LabError(f"on {self.userland.name} the registry's image is Docker Hub's: the settings' own")
        entries = [line.split() for line in (self.state_dir / "digests").read_text().splitlines()]
        return {tag: f"registry:{tag}@{digest}" for name, tag, digest in entries if name == "registry"}

    def up(self, hosts: Sequence[str] = DEFAULT_HOSTS) -> None:
        """Have these hosts, the 'internet' and the upstreams running; what stands already stays as it is."""
        named = [host_named(name) for name in hosts]
        jumps = [host_named(spec.only_from) for spec in named if spec.only_from]
        specs = list(dict.fromkeys([*named, *jumps]))
        install_programs(PROGRAMS if self.userland else {**PROGRAMS, **BUILDING})
        with engine_in_use():
            self._have(specs)

    def _have(self, specs: Sequence[HostSpec]) -> None:
        pieces = [piece for spec in specs for piece in self._pieces(spec)]
        images = ensure_images(pieces, () if self.userland else SHARED)
        self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        labels = {LAB_LABEL: self._id, STATE_LABEL: str(self.state_dir)}
        network = ensure_network(self._id, labels, sealed=self.userland is None)
        if self.userland is None:
            shutil.copyfile(images["pki"].folder / "ca.crt", self.state_dir / "ca.crt")
            shutil.copyfile(images["upstream"].folder / "digests", self.state_dir / "digests")
        servers = name_servers() if self.userland else [network.address4(INTERNET)]
        (self.state_dir / "resolv.conf").write_text("".join(f"nameserver {server}\n" for server in servers))
        (self.state_dir / "keys").mkdir(mode=0o700, exist_ok=True)
        user_key = ensure_key(self.private_key_file, f"lab-{self.name}")
        for spec in specs:
            ensure_key(self._host_key_file(spec), spec.name)
        containers = [] if self.userland else [self._internet(network, images["internet"])]
        if self.userland is None:
            containers += [self._upstream(network, images["upstream"], spec) for spec in UPSTREAMS]
        containers += [
            self._host(network, images[self._pieces(spec)[-1].name], spec, user_key) for spec in specs
        ]
        title = f"hosts {' '.join(spec.name for spec in specs)}"
        with step(title), ThreadPoolExecutor(max_workers=PARALLEL) as pool:
            list(pool.map(lambda container: ensure_container(container, labels), containers))
            self._write_known_hosts(network)
            list(pool.map(lambda spec: self.host(spec.name).wait_ready(), specs))
        (self.state_dir / "stack.yaml").write_text(yaml.safe_dump(self.stack(), sort_keys=False))

    def drop(self, hosts: Sequence[str]) -> None:
        """Remove these hosts, where the lab has them; the rest of it stays as it is."""
        present = set(self.host_names())
        dropped = [self._container(name) for name in hosts if name in present]
        if dropped:
            docker("rm", "-fv", *dropped)

    def renew(self, hosts: Sequence[str]) -> None:
        """Replace these hosts by fresh ones: blank, with the same addresses and host keys."""
        self.drop(hosts)
        self.up(hosts)

    def down(self) -> None:
        """Remove the lab: containers, volumes, network, files; and the engine, if no other lab needs it."""
        with engine_in_use(start=False):
            if engine_answers():
                with step(f"removing the lab {self.name}"):
                    _remove(f"{LAB_LABEL}={self._id}")
        shutil.rmtree(self.state_dir, ignore_errors=True)
        self._hosts.clear()
        stop_idle_engine()

    def host_names(self) -> list[str]:
        """The hosts that this lab has, running or not, in the catalogue's order."""
        present = {name.removeprefix(f"{self._id}-") for name in self._containers("{{.Names}}")}
        return [spec.name for spec in HOSTS if spec.name in present]

    def host(self, name: str) -> LabHost:
        """One host of the lab; LabError where the lab does not have it."""
        if name not in self._hosts:
            if name not in self.host_names():
                raise LabError(
                    f"the lab {self.name} has no {name} yet: python -m lab up --name {self.name} {name}"
                )
            self._hosts[name] = self._describe(host_named(name), self.network)
        return self._hosts[name]

    def stack(
        self, mirrors: Sequence[str] | None = None, clients: Sequence[str] | None = None
    ) -> dict[str, object]:
        """The program's configuration for this lab; by default with all its mirrors and clients."""
        names = self.host_names()
        chosen_mirrors = [n for n in names if host_named(n).role == "mirror"] if mirrors is None else mirrors
        chosen_clients = [n for n in names if host_named(n).role == "client"] if clients is None else clients
        return {
            "ssh": {
                "privateKeyFile": str(self.private_key_file),
                "knownHostsFile": str(self.known_hosts_file),
            },
            "mirrors": [self._entry(name) for name in chosen_mirrors],
            "clients": [self._entry(name) for name in chosen_clients],
            "access": {"networks": list(self.network.allowed)},
            **self._stand_ins(),
        }

    def _stand_ins(self) -> dict[str, object]:
        """The images of the prototype's upstream. With the real Docker Hub the program's own are right."""
        if self.userland is not None:
            return {}
        return {
            "registry": {"image": self.registry_images["3"]},
            "verification": {"image": "docker.io/library/nginx:latest"},
        }

    def _pieces(self, spec: HostSpec) -> tuple[Piece, ...]:
        return host_pieces(spec) if self.userland is None else real_host_pieces(spec, self.userland)

    def _entry(self, name: str) -> dict[str, object]:
        host = self.host(name)
        entry: dict[str, object] = {"name": name, "address": host.address, "hostKey": host.host_key}
        return entry if host.spec.user == "root" else {**entry, "user": host.spec.user}

    def _nft(self, name: str, rules: str) -> None:
        self.host(name).run("sudo env PATH=$PATH:/usr/sbin:/sbin nft -f -", rules)

    def _names(self) -> dict[str, str]:
        """The name of each host, and of the 'internet', by its addresses."""
        network = self.network
        numbers = {INTERNET: "internet"} | {spec.number: spec.name for spec in HOSTS}
        return {
            address(number): name
            for number, name in numbers.items()
            for address in (network.address4, network.address6)
        }

    def _container(self, name: str) -> str:
        return f"{self._id}-{name}"

    def _containers(self, template: str) -> list[str]:
        of_this_lab = f"label={LAB_LABEL}={self._id}"
        return docker("container", "ls", "-a", "--filter", of_this_lab, "--format", template).split()

    def _host_key_file(self, spec: HostSpec) -> Path:
        return self.state_dir / "keys" / spec.name

    def _describe(self, spec: HostSpec, network: LabNetwork) -> LabHost:
        return LabHost(
            spec=spec,
            container=self._container(spec.name),
            address=network.address4(spec.number),
            address6=network.address6(spec.number),
            host_key=ensure_key(self._host_key_file(spec), spec.name),
            private_key_file=self.private_key_file,
            known_hosts_file=self.known_hosts_file,
            jump=self._describe(host_named(spec.only_from), network) if spec.only_from else None,
        )

    def _write_known_hosts(self, network: LabNetwork) -> None:
        hosts = [self._describe(host_named(name), network) for name in self.host_names()]
        lines = [f"{host.address},{host.address6},{host.dns_name} {host.host_key}\n" for host in hosts]
        self.known_hosts_file.write_text("".join(lines))

    def _internet(self, network: LabNetwork, image: Built) -> ContainerSpec:
        names = {INTERNET: INTERNET_NAMES} | {spec.number: list(spec.names) for spec in UPSTREAMS}
        names |= {spec.number: [f"{spec.name}.lab.test"] for spec in HOSTS}
        lines = [
            f"{address} {' '.join(found)}\n"
            for number, found in names.items()
            for address in (network.address4(number), network.address6(number))
        ]
        hosts = HostFile("/etc/lab/hosts", "".join(lines).encode())
        # Its proxy asks its own names.
        return self._service("internet", INTERNET, network, image, self._resolver(), (hosts,))

    def _upstream(self, network: LabNetwork, image: Built, spec: UpstreamSpec) -> ContainerSpec:
        registry = ("--env", f"LAB_REGISTRY={spec.registry}")
        return self._service(spec.container, spec.number, network, image, registry)

    def _neighbours(self, network: LabNetwork) -> tuple[str, ...]:
        """The lab's names, for hosts whose name server is not the lab's."""
        if self.userland is None:
            return ()
        return tuple(
            option
            for spec in HOSTS
            if not spec.light
            for address in (network.address4(spec.number), network.address6(spec.number))
            for option in ("--add-host", f"{spec.name}.lab.test:{address}")
        )

    def _resolver(self) -> tuple[str, str]:
        return ("--volume", f"{self.state_dir / 'resolv.conf'}:/etc/resolv.conf")

    def _service(
        self,
        name: str,
        number: int,
        network: LabNetwork,
        image: Built,
        options: tuple[str, ...],
        files: tuple[HostFile, ...] = (),
    ) -> ContainerSpec:
        return ContainerSpec(
            name=self._container(name),
            hostname=name,
            image=image.image,
            network=network.name,
            address4=network.address4(number),
            address6=network.address6(number),
            options=("--init", *options),
            files=files,
        )

    def _host(self, network: LabNetwork, image: Built, spec: HostSpec, user_key: str) -> ContainerSpec:
        home, uid, gid = ("/root", 0, 0) if spec.user == "root" else (f"/home/{spec.user}", *OPERATOR_IDS)
        key_file = self._host_key_file(spec)
        rules = [] if spec.user == "root" else ["PermitRootLogin no"]
        if spec.only_from:
            jump = host_named(spec.only_from)
            rules += [f"AllowUsers {spec.user}@{network.address4(jump.number)}"]
        public_key = key_file.with_name(f"{spec.name}.pub").read_bytes()
        files = (
            HostFile("/etc/ssh/ssh_host_ed25519_key", key_file.read_bytes(), 0o600),
            HostFile("/etc/ssh/ssh_host_ed25519_key.pub", public_key),
            # sshd takes the first value it meets, and reads these files in the order of their names.
            HostFile("/etc/ssh/sshd_config.d/00-login.conf", "".join(f"{rule}\n" for rule in rules).encode()),
            HostFile(f"{home}/.ssh/authorized_keys", f"{user_key}\n".encode(), 0o600, uid, gid),
        )
        return ContainerSpec(
            name=self._container(spec.name),
            hostname=spec.name,
            image=image.image,
            network=network.name,
            address4=network.address4(spec.number),
            address6=network.address6(spec.number),
            # An engine inside a host cannot use Docker's resolver at 127.0.0.11.
            options=(*self._resolver(), *self._neighbours(network), *HOST_OPTIONS),
            files=files,
        )


def down_all() -> None:
    """Remove every lab of this machine, whichever clone or test run it is from, and the lab's engine."""
    with engine_in_use(start=False):
        if engine_answers():
            template = f'{{{{.Label "{STATE_LABEL}"}}}}'
            filters = ["--filter", f"label={LAB_LABEL}", "--format", template]
            states = docker("container", "ls", "-a", *filters).splitlines()
            states += docker("network", "ls", *filters).splitlines()
            with step("removing all labs"):
                _remove(LAB_LABEL)
            for state in {state for state in states if state}:
                shutil.rmtree(state, ignore_errors=True)
    stop_idle_engine()


def _remove(label: str) -> None:
    containers = docker("container", "ls", "-aq", "--filter", f"label={label}").split()
    if containers:
        docker("rm", "-fv", *containers)
    networks = docker("network", "ls", "-q", "--filter", f"label={label}").split()
    if networks:
        docker("network", "rm", *networks)
