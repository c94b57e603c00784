"""What inspect_host.sh tells of a host, as values: no judgement here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

DATA_BY_DEFAULT = "/var/lib/registry"
DEFAULT_PORT = 5000
HUB_HOSTS = frozenset({"registry-1.docker.io", "index.docker.io", "docker.io", "registry.hub.docker.com"})


@dataclass(frozen=True)
class Section:
    """One section of the script's answer."""

    kind: str
    arguments: Sequence[str]
    lines: Sequence[str]

    @property
    def text(self) -> str:
        """Its lines as they came."""
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def facts(self) -> Mapping[str, str]:
        """Its lines as ``name=value``."""
        return dict(line.split("=", 1) for line in self.lines if "=" in line)


@dataclass(frozen=True)
class Published:
    """A port of the container, and the address and port of the host that lead to it."""

    address: str
    port: int
    inner: int

    @property
    def from_outside(self) -> bool:
        """Whether other hosts reach it."""
        return not self.address.startswith(("127.", "::1", "localhost"))


@dataclass(frozen=True)
class Data:
    """A directory of the host that a container keeps its data in. Sizes are bytes, None where not known."""

    directory: str
    mounted_at: str
    kind: str
    owner: str
    repositories: int
    used: int | None
    size: int | None
    free: int | None
    beside: Sequence[str] = ()
    """What lies in it that is not the registry's."""


@dataclass(frozen=True)
class Registry:
    """A container that runs a registry. ``settings`` has its configuration by path, environment over file.

    A value is None where the script did not show it. ``pulls`` counts manifests by client address.
    """

    name: str
    image: str
    user: str
    running: bool
    restart: str
    auto_remove: bool
    network: str
    published: Sequence[Published]
    read_only: bool
    privileged: bool
    log_limited: bool
    compose: str | None
    swarm: str | None
    ours: bool
    environment: Mapping[str, str | None]
    settings: Mapping[tuple[str, ...], str | None]
    configuration_path: str
    certificate: str = ""
    certificate_path: str = ""
    key_path: str = ""
    key_mode: str = ""
    mounts: Sequence[tuple[str, str]] = ()
    """Directories and files of the host, with where they are in the container."""
    data: Sequence[Data] = ()
    pulls: Mapping[str, int] = field(default_factory=dict)

    @property
    def upstream(self) -> str | None:
        """The URL of the registry that it is a cache of; None for one that is no cache."""
        value = self.settings.get(("proxy", "remoteurl"))
        return value.strip("\"'").rstrip("/") if value else None

    @property
    def tls(self) -> bool:
        """Whether it serves https."""
        return ("http", "tls", "certificate") in self.settings

    @property
    def scheme(self) -> str:
        """How clients speak with it."""
        return "https" if self.tls else "http"

    @property
    def inner_port(self) -> int:
        """The port that the registry listens on, in its container."""
        address = self.settings.get(("http", "addr")) or ""
        port = address.rpartition(":")[2].strip("\"'")
        return int(port) if port.isdigit() else DEFAULT_PORT

    @property
    def ways_in(self) -> Sequence[Published]:
        """The host's ports that lead to it."""
        if self.network == "host":
            host = (self.settings.get(("http", "addr")) or "").strip("\"'").rpartition(":")[0]
            return [Published(host or "0.0.0.0", self.inner_port, self.inner_port)]
        return [way for way in self.published if way.inner == self.inner_port]

    @property
    def root_directory(self) -> str:
        """Where its data is, in its container."""
        given = (self.settings.get(("storage", "filesystem", "rootdirectory")) or "").strip("\"'").rstrip("/")
        return given or DATA_BY_DEFAULT

    @property
    def major(self) -> int | None:
        """The registry's major version, as far as image and configuration tell."""
        tag = self.image.partition("@")[0].rpartition("/")[2].partition(":")[2]
        if re.match(r"v?[0-9]", tag):
            return int(tag.removeprefix("v")[0])
        places = {"/etc/distribution/config.yml": 3, "/etc/docker/registry/config.yml": 2}
        return places.get(self.configuration_path)

    def on_host(self, path: str) -> str | None:
        """Where a path of the container is on the host; None where it is in the container's own layers."""
        for source, target in sorted(self.mounts, key=lambda mount: -len(mount[1])):
            if path == target or path.startswith(f"{target.rstrip('/')}/"):
                return source + path[len(target.rstrip("/")) :]
        return None


@dataclass(frozen=True)
class Firewall:
    """The rules of a host: iptables-save, nft's ruleset, and the ports that firewalld's zones open."""

    firewalld: bool
    iptables: Sequence[str]
    nft: str
    zone_ports: Mapping[str, Sequence[str]]
    """Open ports (``5000/tcp``) by zone."""


@dataclass(frozen=True)
class DockerClient:
    """How a host's Docker finds mirrors. ``reached`` has the HTTP status of each live one, 000 for none."""

    version: str
    containerd_store: bool
    configured: Sequence[str]
    live: Sequence[str]
    insecure: Sequence[str]
    arguments: Sequence[str]
    """Those of dockerd's command line that are about registries."""
    trusted: Mapping[str, str]
    """PEM by file below /etc/docker/certs.d."""
    hosts_toml: Sequence[str]
    reached: Mapping[str, str]
    resolved: Mapping[str, str]
    """The address of each live mirror."""


@dataclass(frozen=True)
class HostFacts:
    """What there is on one host."""

    os: str
    now: int
    networks: Sequence[str]
    """Addresses with their prefix, Docker's own bridges left out."""
    firewall: Firewall
    registries: Sequence[Registry]
    client: DockerClient | None
    """None where Docker does not run."""
    other_registries: Sequence[str]
    """What serves as registry without being a container of Docker's."""
    docker_stopped: bool = False
    """A Docker that is stopped is not looked at: asking would start it."""
    docker_networks: Sequence[str] = ()
    """Those of Docker's own bridges, which its containers pull from."""


def parse(answer: str) -> HostFacts:
    """Read the script's answer. Raises ValueError where it is not whole."""
    sections = list(_sections(answer))
    if not sections or sections[-1].kind != "end":
        raise ValueError("the answer is cut short")
    by_kind: dict[str, list[Section]] = {}
    for section in sections:
        by_kind.setdefault(section.kind, []).append(section)

    def lines(kind: str) -> Sequence[str]:
        return [line for section in by_kind.get(kind, []) for line in section.lines]

    host = by_kind["host"][0].facts
    others = ["docker-distribution.service"] if host.get("docker_distribution") == "yes" else []
    others += [f"podman container {name}" for name in host.get("podman_registry", "").split()]
    return HostFacts(
        os=host.get("os", ""),
        now=int(host["now"]),
        networks=lines("networks"),
        firewall=Firewall(
            firewalld=host.get("firewalld") == "yes",
            iptables=lines("iptables"),
            nft="".join(f"{line}\n" for line in lines("nft")),
            zone_ports=_zone_ports(lines("firewalld")),
        ),
        registries=[_registry(section, by_kind) for section in by_kind.get("container", [])],
        client=_client(by_kind) if "docker" in by_kind else None,
        other_registries=others,
        docker_networks=lines("docker-networks"),
        docker_stopped=host.get("docker_stopped") == "yes",
    )


def _sections(answer: str) -> list[Section]:
    found: list[tuple[list[str], list[str]]] = []
    for line in answer.splitlines():
        if line.startswith("=== "):
            found.append((line.split()[1:], []))
        elif line.startswith("| ") and found:
            found[-1][1].append(line[2:])
    return [Section(words[0], words[1:], lines) for words, lines in found if words]


def _of(by_kind: Mapping[str, Sequence[Section]], kind: str, name: str) -> Sequence[Section]:
    return [section for section in by_kind.get(kind, []) if section.arguments[:1] == [name]]


def _registry(section: Section, by_kind: Mapping[str, Sequence[Section]]) -> Registry:
    name = section.arguments[0]
    about: dict[str, Any] = json.loads(section.text)
    environment = _environment([line for found in _of(by_kind, "environment", name) for line in found.lines])
    configuration = next(iter(_of(by_kind, "configuration", name)), Section("", [name], []))
    certificate = next(iter(_of(by_kind, "certificate", name)), Section("", [], []))
    key = next(iter(_of(by_kind, "key", name)), Section("", [], []))
    mounts = [(str(m["Source"]), str(m["Destination"])) for m in about["mounts"] or [] if m.get("Source")]
    return Registry(
        name=name,
        image=about["image"],
        user=about["user"] or "",
        running=about["running"],
        restart=about["restart"] or "no",
        auto_remove=about["auto_remove"],
        network=about["network"],
        published=_published(about["ports"] or {}),
        read_only=about["read_only"],
        privileged=about["privileged"],
        log_limited=about["log"] != "json-file" or bool(about["log_limit"]),
        compose=about["compose"] or None,
        swarm=about["swarm"] or None,
        ours=bool(about["ours"]),
        environment=environment,
        settings=settings_of(configuration.text, environment),
        configuration_path=(*configuration.arguments, "", "")[1],
        certificate=certificate.text,
        certificate_path=(*certificate.arguments, "", "")[1],
        key_path=(*key.arguments, "", "")[1],
        key_mode=key.facts.get("mode", ""),
        mounts=mounts,
        data=[_data(found) for found in _of(by_kind, "data", name)],
        pulls={
            line.split()[0]: int(line.split()[1])
            for found in _of(by_kind, "pulls", name)
            for line in found.lines
        },
    )


def _environment(lines: Sequence[str]) -> dict[str, str | None]:
    pairs = (line.partition("=") for line in lines)
    return {name: value if equals else None for name, equals, value in pairs}


def settings_of(
    configuration: str, environment: Mapping[str, str | None]
) -> dict[tuple[str, ...], str | None]:
    """A registry's settings by their path: what its environment says wins over its file.

    An environment name is the path in capitals (docs/content/about/configuration.md of
    github.com/distribution/distribution, "Override specific configuration options").
    """
    try:
        document = yaml.load(configuration, Loader=yaml.BaseLoader)  # noqa: S506  # text only, no objects
    except yaml.YAMLError:
        document = None
    settings: dict[tuple[str, ...], str | None] = {}

    def visit(value: object, path: tuple[str, ...]) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                visit(inner, (*path, str(key).lower()))
        elif path:
            text = str(value) if isinstance(value, str) else ""
            settings[path] = None if text == "(not shown)" else text

    visit(document, ())
    for name, value in environment.items():
        if name.startswith("REGISTRY_") and name != "REGISTRY_CONFIGURATION_PATH":
            settings[tuple(name.removeprefix("REGISTRY_").lower().split("_"))] = value
    return settings


def _published(ports: Mapping[str, Any]) -> Sequence[Published]:
    return [
        Published(binding.get("HostIp") or "0.0.0.0", int(binding["HostPort"]), int(inner.split("/")[0]))
        for inner, bindings in ports.items()
        for binding in bindings or []
        if (binding.get("HostPort") or "").isdigit()
    ]


def _data(section: Section) -> Data:
    facts = section.facts

    def number(name: str) -> int | None:
        text = facts.get(name, "")
        return int(text) if text.isdigit() else None

    used = number("used_kib")
    return Data(
        directory=section.arguments[1],
        mounted_at=section.arguments[2],
        kind=facts["kind"],
        owner=facts["owner"],
        repositories=int(facts["repositories"]),
        used=None if used is None else used * 1024,
        size=number("size"),
        free=number("free"),
        beside=[line.removeprefix("beside=") for line in section.lines if line.startswith("beside=")],
    )


def _zone_ports(lines: Sequence[str]) -> dict[str, Sequence[str]]:
    zones: dict[str, Sequence[str]] = {}
    zone = ""
    for line in lines:
        if line and not line[0].isspace():
            zone = line.split()[0]
        elif line.strip().startswith("ports:") and line.split()[1:]:
            zones[zone] = line.split()[1:]
    return zones


def _texts(text: str) -> list[str]:
    try:
        found = json.loads(text or "[]")
    except ValueError:
        return []
    return [str(item).rstrip("/") for item in found] if isinstance(found, list) else []


def _client(by_kind: Mapping[str, Sequence[Section]]) -> DockerClient:
    daemon, docker = by_kind["daemon-json"][0].facts, by_kind["docker"][0].facts
    reach = by_kind.get("reach", [])
    return DockerClient(
        version=docker.get("version", ""),
        containerd_store=bool(docker.get("store")),
        configured=_texts(daemon.get("mirrors", "")),
        live=_texts(docker.get("mirrors", "")),
        insecure=_texts(daemon.get("insecure", "")),
        arguments=[line for section in by_kind.get("dockerd", []) for line in section.lines],
        trusted={section.arguments[0]: section.text for section in by_kind.get("trust", [])},
        hosts_toml=[line for section in by_kind.get("hosts-toml", []) for line in section.lines],
        reached={section.arguments[0]: section.facts.get("status", "000") for section in reach},
        resolved={section.arguments[0]: section.facts.get("address", "") for section in reach},
    )
