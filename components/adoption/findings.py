"""What is wrong with a hand-made mirror and with its clients: facts in, findings out."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from components.adoption import exposure, registry_keys, trust
from components.adoption.facts import DockerClient, HostFacts, Registry

NEAR_END_DAYS = 30
DISK_LOW = 0.1
_ABOUT_SIZE = re.compile(r"size|quota|limit|capacity|max")
_SECRET_NAME = re.compile(r"PASS|SECRET|TOKEN|CREDENTIAL|ACCESSKEY|ACCOUNTKEY|_USERNAME$")
_OPEN_NAME = re.compile(r"^(REGISTRY_HTTP_TLS_|REGISTRY_AUTH_TOKEN_(REALM|SERVICE|ISSUER|ROOTCERTBUNDLE))")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: its kind, and what the takeover or a person does about it."""

    host: str
    code: str
    what: str
    remedy: str


@dataclass(frozen=True)
class Inspected:
    """A host, how clients reach it by address, and what there is on it."""

    name: str
    address: str
    facts: HostFacts

    @property
    def caches(self) -> Sequence[Registry]:
        """The hand-made caches on it."""
        return [found for found in self.facts.registries if found.upstream and not found.ours]


def find(hosts: Sequence[Inspected]) -> list[Finding]:
    """Judge all hosts together, since what is wrong with a client depends on the mirrors."""
    found: list[Finding] = []
    for host in hosts:
        for registry in host.facts.registries:
            if not registry.ours:
                found += _registry(host, registry)
        found += [
            Finding(
                host.name,
                "not-docker",
                f"{other} serves as a registry",
                "it stays as it is: stop it yourself",
            )
            for other in host.facts.other_registries
        ]
    if any(host.caches for host in hosts):
        for host in hosts:
            found += _client(host, hosts)
    return found


def _registry(host: Inspected, registry: Registry) -> Iterator[Finding]:
    def finding(code: str, what: str, remedy: str) -> Finding:
        return Finding(host.name, code, f"{registry.name}: {what}", remedy)

    if registry.upstream is None:
        yield finding(
            "not-a-cache",
            "a registry of its own, not a cache: it has no proxy.remoteurl",
            "it stays as it is",
        )
        return
    for parts in (
        _settings(registry),
        _versions(registry),
        _hardening(registry),
        _survival(registry),
        _secrets(registry),
        _storage(registry),
    ):
        for code, what, remedy in parts:
            yield finding(code, what, remedy)
    for code, what, remedy in [*_certificate(host, registry), *_ways_in(host, registry)]:
        yield finding(code, what, remedy)


Judgement = tuple[str, str, str]


def _settings(registry: Registry) -> Iterator[Judgement]:
    names = {
        tuple(name.removeprefix("REGISTRY_").lower().split("_")): name
        for name in registry.environment
        if name.startswith("REGISTRY_")
    }
    for path in registry.settings:
        if registry_keys.is_known(path):
            continue
        name = names.get(path, ".".join(path))
        if path[0] == "storage" and _ABOUT_SIZE.search(path[-1]):
            yield (
                "size-limit-does-nothing",
                f"{name} does nothing: no registry has a size limit, and data grows until the disk is full",
                "cache.limit of the stack is one that holds",
            )
        elif path[-1] == "blobdescriptors":
            yield "unknown-setting", f"{name} does nothing: the key is blobdescriptor", "it is not needed"
        else:
            yield (
                "unknown-setting",
                f"{name} does nothing: no registry has such a setting",
                "it is not carried over",
            )
    deletion = (registry.settings.get(("storage", "delete", "enabled")) or "").strip("\"'").lower() == "true"
    cached = ("storage", "cache", "blobdescriptor") in registry.settings
    if not deletion:
        yield (
            "deletion-off",
            "storage.delete.enabled is not set: what expires is forgotten, and its space never comes back",
            "deletion is on from then on, and content that was forgotten goes by cache.limit",
        )
    elif cached:
        yield (
            "cache-beside-deletion",
            "storage.cache.blobdescriptor beside deletion: what was deleted is answered with an empty body",
            "the cache has none",
        )
    if any(path[0] == "auth" for path in registry.settings):
        yield (
            "login-on-mirror",
            "it asks for a login, which Docker never gives a mirror: clients go past it without a word",
            "access.networks limits who may use it",
        )


def _versions(registry: Registry) -> Iterator[Judgement]:
    remedy = "the stack pins registry 3 by digest"
    if registry.major == 2:
        yield "no-updates", f"{registry.image}: registry 2 has had no updates since 2.8.3 of 2023", remedy
    elif registry.major is not None and registry.major < 2:
        yield "no-updates", f"{registry.image} is out of date", remedy
    if "@" not in registry.image:
        yield (
            "unpinned",
            f"{registry.image} names no digest: which version runs depends on the day it was pulled",
            remedy,
        )


def _hardening(registry: Registry) -> Iterator[Judgement]:
    remedy = "the cache runs as user 1000, with a read-only root and without capabilities"
    if registry.user.partition(":")[0] in ("", "0", "root"):
        yield "runs-as-root", "it runs as root", remedy
    if not registry.read_only:
        yield "writable-root", "its root file system is writable", remedy
    if registry.privileged:
        yield "privileged", "it is privileged, and could do anything on the host", remedy


def _survival(registry: Registry) -> Iterator[Judgement]:
    if not registry.running:
        yield "stopped", "it does not run", "the cache takes its place and its data"
    if registry.swarm:
        yield (
            "by-swarm",
            f"the swarm service {registry.swarm} runs it, and would start another",
            "remove the service yourself; it is not taken over",
        )
    elif registry.auto_remove:
        yield (
            "removed-when-stopped",
            "it was started with --rm: stopping it removes it, and `destroy` could not bring it back",
            "it is not taken over; start it again without --rm, or stop it yourself",
        )
    elif registry.restart == "no":
        yield (
            "no-restart",
            "it has no restart policy: after a reboot it is gone",
            "the cache starts with Docker",
        )
    if registry.compose:
        yield (
            "by-compose",
            f"compose keeps it (project {registry.compose}): `docker compose up` would start it again",
            "take it out of that compose file after the takeover",
        )
    if not registry.log_limited:
        yield (
            "log-without-limit",
            "its log grows without limit (json-file without max-size)",
            "the cache's log keeps three files of 10 MB",
        )


def secret_settings(registry: Registry) -> list[str]:
    """The names of environment variables of a registry that hold something secret."""
    names = [
        name
        for name in registry.environment
        if _SECRET_NAME.search(name.upper()) and not _OPEN_NAME.match(name)
    ]
    return [*names, *(name for name, value in registry.environment.items() if value and "//***@" in value)]


def _secrets(registry: Registry) -> Iterator[Judgement]:
    names = secret_settings(registry)
    if names:
        yield (
            "secret-in-environment",
            f"{', '.join(names)}: everybody who may run `docker inspect` can read the value",
            "give it as a secret of the stack, and replace it where it was issued",
        )


def _storage(registry: Registry) -> Iterator[Judgement]:
    data = next((found for found in registry.data if found.mounted_at == registry.root_directory), None)
    if registry.on_host(registry.root_directory) is None:
        yield (
            "data-in-container",
            f"its data ({registry.root_directory}) is in the container itself, and goes with it",
            "the cache begins with an empty directory",
        )
    elif data is not None and data.kind == "volume":
        yield (
            "data-in-volume",
            f"its data is in a volume of Docker's ({data.directory}), which `docker volume prune -a` may"
            " remove once that container is gone",
            "it is used in place: keep the stopped container",
        )
    if data is not None and data.size and data.free is not None and data.free < DISK_LOW * data.size:
        percent = 100 * data.free // data.size
        yield (
            "disk-low",
            f"its file system has {percent} % left; a registry that finds it full sends cut-off answers",
            "cache.limit and cache.minFree keep room",
        )


def _certificate(host: Inspected, registry: Registry) -> Iterator[Judgement]:
    if not registry.tls:
        yield (
            "no-tls",
            "plain http: whoever sits between can change what is not pulled by digest",
            "the stack keeps http, since clients that are not in it have that address; change tls.mode later",
        )
        return
    certificate = trust.read(registry.certificate)
    if certificate is None:
        yield "no-certificate", f"{registry.certificate_path} holds no certificate", "the stack issues one"
        return
    now = datetime.datetime.fromtimestamp(host.facts.now, datetime.UTC)
    left = (certificate.not_after - now).days
    ends = f"{certificate.not_after:%Y-%m-%d}"
    renews = "issue another in time, or let the stack issue one (tls.mode: self-signed)"
    if certificate.not_after < now:
        yield "certificate-expired", f"its certificate ended on {ends}: clients that check it go past", renews
    elif left < NEAR_END_DAYS:
        yield "certificate-near-end", f"its certificate ends on {ends}, in {left} days", renews
    if not certificate.names:
        yield (
            "certificate-without-san",
            "its certificate has no subject alternative name: Docker refuses it, and goes to Docker Hub"
            " without a word unless the mirror is among its insecure-registries",
            "the stack issues one with the mirror's names and addresses",
        )
    elif not certificate.covers(host.address):
        yield (
            "certificate-for-others",
            f"its certificate is for {', '.join(certificate.names)}, not for {host.address}",
            "clients must use one of those names (mirrors[].hostname), or the stack issues another",
        )
    if re.match(r"-......r", registry.key_mode):
        yield (
            "key-readable",
            f"every user of the host can read the private key {registry.key_path}",
            "the stack keeps its own with mode 400; replace this one",
        )


def _ways_in(host: Inspected, registry: Registry) -> Iterator[Judgement]:
    idle: dict[str, None] = {}
    for way in registry.ways_in:
        seen = exposure.of(registry, way, host.facts.firewall)
        idle |= dict.fromkeys(seen.idle)
        if seen.open:
            yield (
                "open-to-all",
                f"port {way.port} is open to all who reach the host"
                + (": Docker publishes it past INPUT and firewalld" if registry.network != "host" else ""),
                "access.networks limits it, for IPv4 and IPv6",
            )
            credentials = any(path[:2] == ("proxy", "password") for path in registry.settings)
            if credentials:
                yield (
                    "private-images-open",
                    "it logs in to its upstream, so everybody who reaches it can pull what that account may",
                    "access.networks limits it",
                )
        for rule in seen.unreached:
            yield (
                "rule-never-reached",
                f"{rule} stands after one that lets all pass",
                "access.networks limits it",
            )
    for rule in idle:
        yield (
            "rule-does-nothing",
            f"{rule}, which neither opens nor limits a port that Docker publishes",
            "it is yours and stays; it can go",
        )
    if registry.running and not registry.ways_in:
        yield "unpublished", "no port of the host leads to it", "the cache has upstreams[].port"


def _client(host: Inspected, hosts: Sequence[Inspected]) -> Iterator[Finding]:
    client = host.facts.client
    if client is None:
        return

    def finding(code: str, what: str, remedy: str) -> Finding:
        return Finding(host.name, code, what, remedy)

    urls = mirrors_of(client)
    known = {url: target(url, client, hosts) for url in urls}
    if not urls:
        yield finding(
            "no-mirror",
            "its Docker has no mirror: it pulls from Docker Hub",
            "the stack's clients are given one",
        )
    elif not any(known.values()):
        yield finding(
            "other-mirror",
            f"its Docker uses {', '.join(urls)}, none of the caches seen here",
            "the stack's mirrors come first, these stay after them",
        )
    for url in client.configured:
        if url not in client.live and f"{url}/" not in client.live:
            yield finding(
                "not-reloaded",
                f"daemon.json has {url}, and the running Docker does not",
                "`up` reloads Docker",
            )
    if any(argument.startswith("--registry-mirror") for argument in client.arguments):
        yield finding(
            "mirror-on-command-line",
            "dockerd has --registry-mirror on its command line, and does not start with more in daemon.json",
            "take it out of the service's command line before `up`, which else stops there",
        )
    for url, cache in known.items():
        for code, what, remedy in _way(url, cache, client, host.facts.now):
            yield finding(code, what, remedy)


def _way(
    url: str, cache: tuple[Inspected, Registry] | None, client: DockerClient, now: int
) -> Iterator[Judgement]:
    parts = urlsplit(url)
    place = parts.netloc
    status = client.reached.get(url, "")
    insecure = place in client.insecure
    if parts.path.strip("/"):
        yield (
            "path-in-mirror",
            f"{url} has a path, which Docker refuses in a mirror",
            "`up` writes it without",
        )
    if cache is not None and cache[1].scheme != parts.scheme:
        yield (
            "wrong-scheme",
            f"{url}: {cache[1].name} speaks {cache[1].scheme}"
            + (
                ", which works here only since it is an insecure registry"
                if insecure
                else ", so Docker goes past it"
            ),
            "`up` writes the right address",
        )
    elif status == "000":
        yield (
            "unreachable",
            f"{url} does not answer here",
            "`up` proves each client's way, or fails and says why",
        )
    elif status and status not in ("200", "401"):
        yield (
            "not-a-registry",
            f"{url} answers {status}, not as a registry does",
            "see what is at that address",
        )
    if insecure:
        yield (
            "insecure-registry",
            f"{place} is among its insecure-registries: no certificate of it is checked"
            + (", nor Docker Hub's own, with the containerd image store" if client.containerd_store else ""),
            "the entry stays, as others may need it; take it out once the stack's certificate is trusted",
        )
    elif cache is not None and parts.scheme == "https" and cache[1].tls:
        if not _checks_out(cache[1].certificate, place, client.trusted, now):
            yield (
                "untrusted",
                f"{url}: Docker cannot verify its certificate here, and goes to Docker Hub without a word",
                "`up` gives the client the CA",
            )
        elif client.containerd_store and not any(place in line for line in client.hosts_toml):
            yield (
                "ca-not-used",
                f"{url}: with the containerd image store Docker does not use the CA in certs.d for a mirror",
                "`up` writes hosts.toml",
            )


def _checks_out(pem: str, place: str, trusted: Mapping[str, str], now: int) -> bool:
    files = [text for path, text in trusted.items() if path.startswith(f"/etc/docker/certs.d/{place}/")]
    name = urlsplit(f"https://{place}").hostname or ""
    return any(trust.verifies(pem, name, authority, now) for authority in files)


def mirrors_of(client: DockerClient) -> Sequence[str]:
    """The mirrors that the running Docker has, or those of its file where it does not tell."""
    return client.live or client.configured


def target(url: str, client: DockerClient, hosts: Sequence[Inspected]) -> tuple[Inspected, Registry] | None:
    """The hand-made cache that a mirror's URL leads to, of those seen."""
    parts = urlsplit(url)
    try:
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except ValueError:
        return None
    addresses = {parts.hostname or "", client.resolved.get(url, "")}
    for host in hosts:
        own = {host.address, *(network.partition("/")[0] for network in host.facts.networks)}
        if host.facts.client is client:
            own |= {"localhost", "127.0.0.1", "::1"}
        if not addresses & own:
            continue
        for registry in host.caches:
            if any(way.port == port for way in registry.ways_in):
                return host, registry
    return None
