"""The stack that takes hand-made mirrors over: their data in place, at the address that clients have."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components.adoption import trust
from components.adoption.findings import Inspected
from components.adoption.takeovers import Takeover, choose, mirrors_at

DEFAULT_DIRECTORY = "/data/docker_registry"
OTHER_DIRECTORY = "/data/registry-cache"


@dataclass(frozen=True)
class Fetch:
    """A file of a host that the stack needs here: the command gets it."""

    host: str
    path: str
    to: str
    secret: bool


@dataclass(frozen=True)
class Proposal:
    """A stack's sections, why they are so, what is not taken over, and what is to be done before `up`."""

    sections: Mapping[str, Any]
    reasons: Mapping[str, Sequence[str]] = field(default_factory=dict)
    left_out: Sequence[str] = ()
    fetches: Sequence[Fetch] = ()
    before: Sequence[str] = ()


def propose(
    hosts: Sequence[Inspected], base: Mapping[str, Any], clients_of: Sequence[str] = ()
) -> Proposal | None:
    """Return the stack, or None where no host has a hand-made cache that can be taken over.

    ``base`` are the stack's sections so far, its mirrors and clients among them; what the takeover needs is
    set in them, the rest stays. ``clients_of`` names hosts that are to be clients only.
    """
    left_out: list[str] = []
    base, takeovers = choose(hosts, base, clients_of, left_out)
    if not takeovers:
        return Proposal(dict(base), left_out=left_out) if left_out else None
    reasons: dict[str, list[str]] = {}
    before: list[str] = []
    upstreams = _upstreams(takeovers, base, reasons, before)
    tls, fetches = _tls(takeovers, hosts, reasons)
    sections: dict[str, Any] = {key: value for key, value in base.items() if key not in ("tls", "proxy")}
    sections |= {
        "mirrors": _mirrors(takeovers, hosts, base, reasons),
        "upstreams": upstreams,
        "access": {"networks": _networks(takeovers, hosts, base, reasons)},
        "tls": tls,
    }
    cache = _cache(takeovers, upstreams, base, reasons)
    if cache:
        sections["cache"] = cache
    proxy = _proxy(takeovers, before) or base.get("proxy")
    if proxy:
        sections["proxy"] = proxy
    return Proposal(sections, reasons, left_out, fetches, before)


def _default_address(registry: str) -> str:
    return "https://registry-1.docker.io" if registry == "docker.io" else f"https://{registry}"


def _upstreams(
    takeovers: Sequence[Takeover],
    base: Mapping[str, Any],
    reasons: dict[str, list[str]],
    before: list[str],
) -> list[dict[str, Any]]:
    given: list[dict[str, Any]] = [dict(entry) for entry in base.get("upstreams", [])]
    by_registry = {str(entry.get("registry")): entry for entry in given}
    notes = reasons.setdefault("upstreams", [])
    notes.append("The ports that clients know.")
    for one in takeovers:
        entry = by_registry.get(one.registry)
        if entry is None:
            entry = {"registry": one.registry}
            given.append(entry)
            by_registry[one.registry] = entry
        entry["port"] = one.port
        notes += [
            f"{one.cache.name} on {one.host.name} is at port {port} too, which nobody answers at after the"
            f" takeover: have those that use it use {one.port}."
            for port in sorted({way.port for way in one.cache.ways_in} - {one.port})
        ]
        upstream = (one.cache.upstream or "").replace("//***@", "//")
        if upstream != _default_address(one.registry):
            entry.setdefault("url", upstream)
        if any(path[:2] in (("proxy", "username"), ("proxy", "password")) for path in one.cache.settings):
            index = given.index(entry)
            before.append(
                f"{one.cache.name} logs in to {one.registry}: add its username to upstreams[{index}], and as"
                " passwordFile a file (mode 600) with its password, or better with a new read-only token"
            )
    if "docker.io" not in by_registry:
        taken = {entry.get("port") for entry in given}
        port = next(port for port in range(5000, 5200) if port not in taken)
        given.append({"registry": "docker.io", "port": port})
        notes.append("docker.io is new: a stack always has it.")
    return sorted(given, key=lambda entry: entry["registry"] != "docker.io")


def _mirrors(
    takeovers: Sequence[Takeover],
    hosts: Sequence[Inspected],
    base: Mapping[str, Any],
    reasons: dict[str, list[str]],
) -> list[dict[str, Any]]:
    notes = reasons.setdefault("mirrors", [])
    notes.append(
        "`up` stops the containers under `replaces` when the caches are ready to start, and `destroy` starts"
        " them again: leave them there, stopped."
    )
    notes.append("The caches go on with the data in `directory`; its owner becomes 1000:1000.")
    entries = []
    for entry in base.get("mirrors", []):
        own = [one for one in takeovers if one.host.name == entry["name"]]
        replaces = []
        for one in own:
            replaced: dict[str, Any] = {"container": one.cache.name}
            if one.registry != "docker.io":
                replaced["registry"] = one.registry
            directory = one.data.directory if one.data is not None else None
            if directory is not None and one.data is not None and one.data.beside:
                notes.append(
                    f"{directory} on {one.host.name} has other things in it"
                    f" ({', '.join(one.data.beside[:5])}): they would be"
                    " given to 1000:1000 too. Move them elsewhere first."
                )
            if directory is None:
                notes.append(f"{one.cache.name} has its data in the container: the cache begins empty.")
            else:
                replaced["directory"] = directory
            replaces.append(replaced)
        name = _common_name(own, hosts)
        named = {"hostname": name} if name and "hostname" not in entry else {}
        entries.append({**entry, **named, **({"replaces": replaces} if replaces else {})})
        if named:
            notes.append(f"{entry['name']}: clients know it as {name}.")
    return entries


def _common_name(own: Sequence[Takeover], hosts: Sequence[Inspected]) -> str | None:
    """The name that clients have for a mirror, where it is not its address and all use the same."""
    names = {url.hostname or "" for url in mirrors_at([one.cache for one in own], hosts)}
    names -= {"localhost", "127.0.0.1", "::1"}
    addresses = {one.host.address for one in own}
    only = names.pop() if len(names) == 1 else None
    return only if only and only not in addresses else None


def _networks(
    takeovers: Sequence[Takeover],
    hosts: Sequence[Inspected],
    base: Mapping[str, Any],
    reasons: dict[str, list[str]],
) -> list[str]:
    """The networks on the mirrors' own links that clients are in, and each further client by its address."""
    given = [str(network) for network in dict(base.get("access", {})).get("networks", [])]
    links = [ipaddress.ip_interface(text).network for one in takeovers for text in one.host.facts.networks]
    pulled = {
        address for one in takeovers for address in one.cache.pulls if not _on_a_bridge(address, one.host)
    }
    wanted = {host.address for host in hosts} | pulled
    chosen: dict[str, None] = dict.fromkeys(given)
    outside: list[str] = []
    for text in sorted(wanted):
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        if address.is_loopback or any(address in ipaddress.ip_network(network) for network in chosen):
            continue
        link = next((network for network in links if address in network), None)
        chosen[str(link) if link else f"{address}/{address.max_prefixlen}"] = None
        if link is None:
            outside.append(text)
    notes = reasons.setdefault("access", [])
    notes.append("Nobody else reaches the caches from then on: check that all your clients are in here.")
    if pulled:
        notes.append(f"{len(pulled)} addresses pulled according to the logs; all of them are in here.")
    if outside:
        notes.append(f"Not on the mirrors' own networks: {', '.join(outside)}.")
    return list(chosen)


def _on_a_bridge(address: str, host: Inspected) -> bool:
    """Whether it is one of the host's own containers."""
    try:
        return any(
            ipaddress.ip_address(address) in ipaddress.ip_network(network)
            for network in host.facts.docker_networks
        )
    except ValueError:
        return False


def _tls(
    takeovers: Sequence[Takeover], hosts: Sequence[Inspected], reasons: dict[str, list[str]]
) -> tuple[dict[str, Any], list[Fetch]]:
    """Keep what clients can be relying on: the scheme always, the certificate where anybody can verify it."""
    notes = reasons.setdefault("tls", [])
    first = takeovers[0]
    if not first.cache.tls:
        notes.append("http as before: clients that are not in this stack have that address.")
        return {"mode": "off"}, []
    certificate = trust.read(first.cache.certificate)
    now = first.host.facts.now
    if certificate is None or not certificate.names or certificate.not_after.timestamp() < now:
        notes.append(
            "No client can verify the present certificate, so those that use it have the mirror among their"
            " insecure-registries, and take any: a new one loses nobody."
        )
        return {"mode": "self-signed"}, []
    notes.append(
        "The certificate that clients trust now, so that none loses the mirror for a moment. With mode:"
        " self-signed, clients that are not in this stack would go past it."
    )
    here = f"certificates/{first.host.name}"
    host = first.host.name

    def on_host(path: str) -> str:
        return first.cache.on_host(path) or path

    fetches = [
        Fetch(host, on_host(first.cache.certificate_path), f"{here}.pem", secret=False),
        Fetch(host, on_host(first.cache.key_path), f"{here}.key", secret=True),
    ]
    tls = {"mode": "own", "certificateFile": f"{here}.pem", "privateKeyFile": f"{here}.key"}
    if certificate.self_signed:
        tls["caFile"] = f"{here}.pem"
        return tls, fetches
    found = _authority(first, hosts)
    if found is not None:
        tls["caFile"] = f"{here}-ca.pem"
        fetches.append(Fetch(found[0], found[1], f"{here}-ca.pem", secret=False))
    else:
        notes.append("If it is signed by a CA of your own, name that as caFile.")
    return tls, fetches


def _authority(one: Takeover, hosts: Sequence[Inspected]) -> tuple[str, str] | None:
    """Where a CA file is that vouches for a cache's certificate: a host's name and a path."""
    certificate = trust.read(one.cache.certificate)
    for host in hosts:
        for path, text in host.facts.client.trusted.items() if host.facts.client else ():
            for name in certificate.names if certificate else ():
                if trust.verifies(one.cache.certificate, name, text, one.host.facts.now):
                    return host.name, path
    return None


def _cache(
    takeovers: Sequence[Takeover],
    upstreams: Sequence[Mapping[str, Any]],
    base: Mapping[str, Any],
    reasons: dict[str, list[str]],
) -> dict[str, Any]:
    cache = dict(base.get("cache", {}))
    used = [one.data.directory for one in takeovers if one.data is not None]
    placed = {(one.host.name, one.registry) for one in takeovers if one.data is not None}
    mirrors = {one.host.name for one in takeovers}
    directory = str(cache.get("directory", DEFAULT_DIRECTORY))
    free = any((name, entry["registry"]) not in placed for name in mirrors for entry in upstreams)
    if free and any(_overlap(directory, other) for other in used):
        cache["directory"] = OTHER_DIRECTORY
        reasons.setdefault("cache", []).append("For the caches that begin empty.")
    if "limit" not in cache and not _holds_limit(takeovers):
        size = _limit(takeovers)
        if size:
            cache["limit"] = size
            reasons.setdefault("cache", []).append(
                "A limit that holds. Yours to choose: this is what is there now and half as much again, or"
                " what the file system has."
            )
    return cache


def _holds_limit(takeovers: Sequence[Takeover]) -> bool:
    return all(one.data is None for one in takeovers)


def _limit(takeovers: Sequence[Takeover]) -> str | None:
    """A limit above what a mirror has, so that nothing goes by being taken over."""
    most = 0
    room: list[int] = []
    for name in {one.host.name for one in takeovers}:
        data = [one.data for one in takeovers if one.host.name == name and one.data is not None]
        if any(found.used is None or (found.repositories and not found.used) for found in data):
            return None
        used = sum(found.used or 0 for found in data)
        most = max(most, used)
        room += [used + found.free * 9 // 10 for found in data if found.free is not None]
    gibibytes = max(-(-most * 3 // 2 // 2**30), 10)
    if room and gibibytes * 2**30 > min(room):
        gibibytes = min(room) // 2**30
    return f"{gibibytes}GiB" if gibibytes * 2**30 > most else None


def _overlap(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _proxy(takeovers: Sequence[Takeover], before: list[str]) -> dict[str, Any]:
    proxy: dict[str, Any] = {}
    for one in takeovers:
        for name, value in one.cache.environment.items():
            key = {"http_proxy": "http", "https_proxy": "https"}.get(name.lower())
            if not value or (key is None and name.lower() != "no_proxy"):
                continue
            if "//***@" in value:
                before.append(
                    f"{one.cache.name} reaches its upstream through a proxy with a login ({name}): the stack"
                    " takes no login in a proxy's address, so let that proxy know the mirror by its address"
                )
            if key is not None:
                proxy.setdefault(key, value.replace("//***@", "//"))
            else:
                exceptions = [part.strip() for part in value.split(",") if part.strip()]
                proxy.setdefault("noProxy", exceptions)
    return proxy if "http" in proxy or "https" in proxy else {}
