"""Which hand-made caches one stack can take over, and how clients reach them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from components.adoption import findings, trust
from components.adoption.facts import DEFAULT_PORT, HUB_HOSTS, Data, Registry
from components.adoption.findings import Inspected

OTHER_REGISTRIES = frozenset(
    {"ghcr.io", "gcr.io", "quay.io", "k8s.gcr.io", "registry.k8s.io", "mcr.microsoft.com", "public.ecr.aws"}
    | {"registry.gitlab.com", "docker.elastic.co", "nvcr.io", "lscr.io"}
)


@dataclass(frozen=True)
class Takeover:
    """A cache that is taken over, and how clients reach it."""

    host: Inspected
    cache: Registry
    registry: str
    port: int
    data: Data | None


def choose(
    hosts: Sequence[Inspected], base: Mapping[str, Any], clients_of: Sequence[str], left_out: list[str]
) -> tuple[Mapping[str, Any], list[Takeover]]:
    """What is taken over, and the stack's sections so far without the mirrors that this rules out.

    ``left_out`` gets a line for each that is not, with the reason.
    """
    staying: list[tuple[Inspected, Registry]] = []
    takeovers = _consistent(list(_candidates(hosts, clients_of, left_out, staying)), left_out, staying)
    return _without_occupied(base, takeovers, staying, left_out)


def _candidates(
    hosts: Sequence[Inspected],
    clients_of: Sequence[str],
    left_out: list[str],
    staying: list[tuple[Inspected, Registry]],
) -> Iterator[Takeover]:
    for host in hosts:
        for cache in host.caches:
            reason = _unfit(host, cache, clients_of)
            if reason:
                left_out.append(f"{host.name}: {cache.name} {reason}")
                staying.append((host, cache))
                continue
            data = next((found for found in cache.data if found.mounted_at == cache.root_directory), None)
            yield Takeover(host, cache, _registry_of(cache, hosts), _port(cache, hosts), data)


def _unfit(host: Inspected, cache: Registry, clients_of: Sequence[str]) -> str:
    if host.name in clients_of:
        return "is on a host that the stack lists as a client: list it under mirrors"
    if cache.swarm or cache.auto_remove:
        return "cannot be stopped and started again (see above)"
    if not cache.ways_in:
        return "is reached at no port of the host"
    if not any(way.from_outside for way in cache.ways_in):
        return f"is reached from the host itself only ({cache.ways_in[0].address})"
    return ""


def _registry_of(cache: Registry, hosts: Sequence[Inspected]) -> str:
    """The name, as in image names, of the registry that a cache is of."""
    upstream = urlsplit(cache.upstream or "")
    place = upstream.netloc.rpartition("@")[2].lower()
    if place in HUB_HOSTS:
        return "docker.io"
    # A mirror of Docker Hub as upstream: clients have the cache among their mirrors, which are for the Hub.
    used = any(mirrors_at([cache], hosts))
    return "docker.io" if used and place not in OTHER_REGISTRIES else place


def mirrors_at(caches: Sequence[Registry], hosts: Sequence[Inspected]) -> Iterator[SplitResult]:
    """The mirrors of all Dockers seen that lead to one of these caches, as often as they are there."""
    for host in hosts:
        client = host.facts.client
        if client is None:
            continue
        for url in findings.mirrors_of(client):
            found = findings.target(url, client, hosts)
            if found is not None and any(found[1] is cache for cache in caches):
                yield urlsplit(url)


def _port(cache: Registry, hosts: Sequence[Inspected]) -> int:
    """Of a cache's ports the one that most mirrors are at; where none is at any, the usual one."""
    known = Counter(url.port or {"http": 80}.get(url.scheme, 443) for url in mirrors_at([cache], hosts))
    ports = [way.port for way in cache.ways_in if way.from_outside]
    return max(ports, key=lambda port: (known[port], port == DEFAULT_PORT))


def _consistent(
    found: list[Takeover], left_out: list[str], staying: list[tuple[Inspected, Registry]]
) -> list[Takeover]:
    """What one stack can hold: a port for each registry, http or https for all, and one of each on a host."""
    kept: list[Takeover] = []
    for one in sorted(found, key=_rank):
        name = f"{one.host.name}: {one.cache.name}"
        first = kept[0] if kept else one
        same = next((other for other in kept if other.registry == one.registry), one)
        twice = next((o for o in kept if o.registry == one.registry and o.host.name == one.host.name), None)
        blocked = next((o for o in kept if o.port == one.port and o.registry != one.registry), None)
        if one.cache.scheme != first.cache.scheme:
            reason = f"speaks {one.cache.scheme}, unlike {first.cache.name} on {first.host.name}"
        elif twice is not None:
            reason = f"is a cache of {one.registry}, as {twice.cache.name} is on the same host"
        elif one.port != same.port:
            reason = f"is at port {one.port}, unlike {same.cache.name} on {same.host.name} ({same.port})"
        elif blocked is not None:
            reason = f"is at port {one.port}, where {blocked.host.name} has {blocked.registry}"
        elif one.cache.tls and one.cache.certificate != first.cache.certificate and _keeps(first):
            reason = f"has another certificate than {first.cache.name} on {first.host.name}"
        else:
            kept.append(one)
            continue
        left_out.append(f"{name} {reason}: take it over in a stack of its own")
        staying.append((one.host, one.cache))
    return kept


def _without_occupied(
    base: Mapping[str, Any],
    takeovers: list[Takeover],
    staying: Sequence[tuple[Inspected, Registry]],
    left_out: list[str],
) -> tuple[Mapping[str, Any], list[Takeover]]:
    """Leave out the mirrors on which a container that stays has a port of the stack's."""
    ports = {one.port for one in takeovers}
    occupied = {
        host.name: cache.name
        for host, cache in staying
        if cache.running and any(way.port in ports for way in cache.ways_in)
    }
    mirrors = base.get("mirrors", [])
    left_out += [
        f"{entry['name']} is no mirror of this stack, as {occupied[entry['name']]} goes on there at a port"
        " that the stack's cache would need"
        for entry in mirrors
        if entry["name"] in occupied
    ]
    kept = [entry for entry in mirrors if entry["name"] not in occupied]
    return {**base, "mirrors": kept}, [one for one in takeovers if one.host.name not in occupied]


def _rank(one: Takeover) -> tuple[bool, bool, int, int]:
    """Docker Hub's before others; of several, the one that is used most."""
    repositories = one.data.repositories if one.data is not None else 0
    return one.registry != "docker.io", not one.cache.running, -sum(one.cache.pulls.values()), -repositories


def _keeps(one: Takeover) -> bool:
    certificate = trust.read(one.cache.certificate)
    return certificate is not None and bool(certificate.names)
