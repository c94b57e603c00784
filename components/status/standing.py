"""How a stack stands: the hosts' answers put together, in this machine's time, not yet judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography import x509

from components import settings as stack_settings
from components.lib.remote import HostFailed
from components.settings import Settings
from components.status import client_docker, records
from components.status.asking import Answers
from components.status.client_docker import DOCKER_HUB, ClientDocker, NoDocker
from components.status.records import Collected, Probed, ProbedUpstream, Sample, Traffic, Unreadable
from components.status.way_of_pulls import Mirror, MirrorRecord, Watched, owners, watch


@dataclass(frozen=True)
class CacheStanding:
    """One cache. ``recent`` is its traffic of the hours looked at, ``total`` since its collector began."""

    upstream: str
    url: str
    container: str | None
    recent: Traffic | None = None
    total: Traffic | None = None
    held: int | None = None
    limit: int | None = None
    last_eviction: float | None = None
    probe: ProbedUpstream | None = None
    samples: Sequence[Sample] = ()

    @property
    def runs(self) -> bool:
        """Whether Docker says that its container does."""
        told = self.container or ""
        return told.startswith("Up") and "(Paused)" not in told


@dataclass(frozen=True)
class MirrorStanding:
    """A mirror. ``failed`` says why the host gave no answer; ``problems`` why a record of it cannot be read.

    ``limit`` is what its caches may hold together. Sizes are bytes, times seconds since 1970.
    """

    name: str
    address: str
    caches: Sequence[CacheStanding]
    failed: str | None = None
    problems: Sequence[str] = ()
    collected_at: float | None = None
    probed_at: float | None = None
    held: int | None = None
    limit: int | None = None
    disk_size: int | None = None
    disk_free: int | None = None
    min_free: int | None = None
    certificate_end: float | None = None


@dataclass(frozen=True)
class LastUse:
    """When a client was last seen at a mirror. ``image`` is what it pulled, where that is known."""

    at: float
    mirror: str
    image: str | None


@dataclass(frozen=True)
class ClientStanding:
    """A client. ``mirrors`` are the URLs that its running Docker asks, ``expected`` those that it should."""

    name: str
    address: str
    expected: Sequence[str]
    failed: str | None = None
    no_docker: str | None = None
    containerd_store: bool = False
    mirrors: Sequence[str] = ()
    watched: Watched = Watched(None, ())  # noqa: RUF009
    last_use: LastUse | None = None


@dataclass(frozen=True)
class Standing:
    """A whole stack at one moment; ``hours`` is how far back was looked. ``names`` tells whose a URL is."""

    stack: str
    at: float
    hours: int
    mirrors: Sequence[MirrorStanding]
    clients: Sequence[ClientStanding]
    names: Mapping[str, str]
    renew_before_days: int

    @property
    def since(self) -> float:
        """The beginning of the hours that are looked at."""
        return self.at - self.hours * 3600


def put_together(
    stack: str, settings: Settings, answers: Mapping[str, Answers | HostFailed], at: float, hours: int
) -> Standing:
    """The standing of a stack by what its hosts said."""
    since = at - hours * 3600
    collected: dict[str, tuple[Collected, float]] = {}
    mirrors = []
    for mirror in settings.mirrors:
        answer = answers[mirror.name]
        if isinstance(answer, HostFailed):
            caches = [
                CacheStanding(one.registry, settings.url(mirror, one), None) for one in settings.upstreams
            ]
            mirrors.append(MirrorStanding(mirror.name, mirror.address, caches, failed=str(answer)))
            continue
        standing, record = _mirror(settings, mirror, answer, since)
        mirrors.append(standing)
        if record is not None:
            collected[mirror.name] = (record, answer.ahead)
    own = settings.mirrors if settings.mirrors_are_clients else ()
    clients = _clients(settings, [*own, *settings.clients], answers, collected, since)
    names = {
        settings.url(mirror, upstream): mirror.name
        for mirror in settings.mirrors
        for upstream in settings.upstreams
    }
    return Standing(stack, at, hours, mirrors, clients, names, settings.tls.renew_before_days)


def _mirror(
    settings: Settings, mirror: stack_settings.Mirror, answers: Answers, since: float
) -> tuple[MirrorStanding, Collected | None]:
    problems: list[str] = []
    ahead = answers.ahead
    record: Collected | None = None
    probe: Probed | None = None
    try:
        if (text := answers.said.get("collected")) is not None:
            record = records.collected(text)
    except Unreadable as error:
        problems.append(str(error))
    try:
        if (text := answers.said.get("probed")) is not None:
            probe = records.probed(text)
    except Unreadable as error:
        problems.append(str(error))
    containers = dict(
        line.split(" ", 1) for line in answers.said.get("containers", "").splitlines() if " " in line
    )
    size, free = _disk(answers.said.get("disk", ""))
    if size is None and record is not None and record.disk is not None:
        size, free = record.disk.size, record.disk.free
    caches = []
    for upstream in settings.upstreams:
        name = upstream.registry
        container = containers.get(f"registry-cache-{name.replace(':', '-')}", "not there")
        cache = CacheStanding(
            name,
            settings.url(mirror, upstream),
            container if "containers" in answers.said else None,
            probe=probe.upstreams.get(name) if probe is not None else None,
        )
        caches.append(cache if record is None else _with_record(cache, record, ahead, since))
    held = [cache.held for cache in caches if cache.held is not None]
    standing = MirrorStanding(
        mirror.name,
        mirror.address,
        caches,
        problems=problems,
        collected_at=None if record is None else record.at - ahead,
        probed_at=None if probe is None else probe.at - ahead,
        held=sum(held) if held else None,
        limit=None if record is None else record.limit,
        disk_size=size,
        disk_free=free,
        min_free=None if record is None else record.min_free,
        certificate_end=_certificate_end(answers.said.get("certificate", "")),
    )
    return standing, record


def _with_record(cache: CacheStanding, record: Collected, ahead: float, since: float) -> CacheStanding:
    of_cache = record.upstreams.get(cache.upstream)
    if of_cache is None:
        return cache
    samples = [sample._replace(at=sample.at - ahead) for sample in record.samples_of(cache.upstream)]
    total = records.counted(of_cache)
    last = of_cache.last_eviction
    return CacheStanding(
        cache.upstream,
        cache.url,
        cache.container,
        recent=records.traffic(samples, total, since),
        total=total,
        held=of_cache.bytes,
        limit=of_cache.limit,
        last_eviction=None if last is None else last - ahead,
        probe=cache.probe,
        samples=samples,
    )


def _clients(
    settings: Settings,
    hosts: Sequence[stack_settings.Host],
    answers: Mapping[str, Answers | HostFailed],
    collected: Mapping[str, tuple[Collected, float]],
    since: float,
) -> list[ClientStanding]:
    expected = [
        settings.url(mirror, upstream)
        for mirror in settings.mirrors
        for upstream in settings.upstreams
        if upstream.registry == DOCKER_HUB
    ]
    every = [*settings.mirrors, *settings.clients]
    addresses = {
        host.name: [
            host.address,
            *(answer.said.get("addresses", "").split() if isinstance(answer, Answers) else ()),
        ]
        for host in every
        for answer in [answers[host.name]]
        if host in hosts or isinstance(answer, Answers)
    }
    owner = owners(addresses)
    of_url = {
        settings.url(mirror, upstream): mirror.name
        for mirror in settings.mirrors
        for upstream in settings.upstreams
    }
    kept = {
        name: MirrorRecord(
            [request._replace(at=request.at - ahead) for request in record.pulls],
            record.watches_since - ahead,
            record.at - ahead,
        )
        for name, (record, ahead) in collected.items()
    }
    found = []
    for host in hosts:
        answer = answers[host.name]
        client = ClientStanding(host.name, host.address, expected)
        last = _last_use(host.name, collected, owner)
        if isinstance(answer, HostFailed):
            found.append(_replaced(client, last, failed=str(answer)))
            continue
        try:
            docker = client_docker.read(answer)
        except NoDocker as reason:
            found.append(_replaced(client, last, no_docker=str(reason)))
            continue
        mirrors = [
            Mirror(of_url.get(url, url), urlsplit(url).netloc, kept.get(of_url.get(url, "")))
            for url in docker.mirrors
        ]
        watched = watch(host.name, docker, mirrors, owner, since)
        found.append(_replaced(client, last, docker=docker, watched=watched))
    return found


def _replaced(
    client: ClientStanding,
    last: LastUse | None,
    *,
    failed: str | None = None,
    no_docker: str | None = None,
    docker: ClientDocker | None = None,
    watched: Watched | None = None,
) -> ClientStanding:
    return ClientStanding(
        client.name,
        client.address,
        client.expected,
        failed=failed,
        no_docker=no_docker,
        containerd_store=docker is not None and docker.containerd_store,
        mirrors=() if docker is None else docker.mirrors,
        watched=watched or client.watched,
        last_use=last,
    )


def _last_use(
    name: str, collected: Mapping[str, tuple[Collected, float]], owner: Mapping[str, str]
) -> LastUse | None:
    """A client's last use of any mirror: a pull that is remembered, any other use, or a proof."""
    uses = []
    for mirror, (record, ahead) in collected.items():
        uses += [
            LastUse(pull.at - ahead, mirror, pull.repository)
            for pull in record.pulls
            if owner.get(pull.address) == name
        ]
        if name in record.proofs:
            uses.append(LastUse(record.proofs[name] - ahead, mirror, None))
        uses += [
            LastUse(seen.last - ahead, mirror, None)
            for address, upstreams in record.clients.items()
            if owner.get(address) == name
            for seen in upstreams.values()
        ]
    if not uses:
        return None
    latest = max(use.at for use in uses)
    # Of what belongs to one pull, the line that names the image says most.
    return max((use for use in uses if use.at > latest - 60), key=lambda use: (use.image is not None, use.at))


def _disk(text: str) -> tuple[int | None, int | None]:
    """Size and free bytes, from what `df -P -B 1` prints."""
    fields = text.splitlines()[-1].split() if text else []
    if len(fields) < 6 or not (fields[1].isdigit() and fields[3].isdigit()):
        return None, None
    return int(fields[1]), int(fields[3])


def _certificate_end(pem: str) -> float | None:
    """The end of the first certificate, the server's own."""
    try:
        return x509.load_pem_x509_certificates(pem.encode())[0].not_valid_after_utc.timestamp()
    except (ValueError, IndexError):
        return None
