"""What is off in a stack, what cannot be told, and what is worth a look."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from components.status.phrases import ago, day, size, span
from components.status.standing import CacheStanding, ClientStanding, MirrorStanding, Standing
from components.status.way_of_pulls import Way

STALE_SECONDS = 300
"""The collector writes every 15 s and the prober every minute: older than this, they do not run."""
CERTIFICATE_DAYS = 14
RATE_SHARE = 0.1
OVER_LIMIT = 1.1
"""What is being pulled now is above the limit for a moment."""

REFUSALS = {
    "rate_limited": "refuses with 429: its rate limit is used up",
    "unauthorized": "refuses the login, or wants one",
    "unreachable": "cannot be reached",
    "tls": "shows a certificate that the cache does not trust",
    "server_error": "answers with an error of its own",
    "other": "does not answer as a registry does",
}


class Level(enum.Enum):
    """How much a finding matters. Only OFF and UNKNOWN show in the exit code."""

    OK = "ok"
    NOTE = "note"
    UNKNOWN = "unknown"
    OFF = "off"


EXIT_CODES = {Level.OK: 0, Level.NOTE: 0, Level.OFF: 1, Level.UNKNOWN: 2}


@dataclass(frozen=True)
class Finding:
    """Something about one cell: of a client, a mirror, or its cache of ``upstream`` where that is given."""

    level: Level
    host: str
    upstream: str | None
    cell: str
    text: str

    def __str__(self) -> str:
        where = self.host if self.upstream is None else f"{self.host}, {self.upstream}"
        return f"{where}: {self.text}"


def judge(standing: Standing) -> list[Finding]:
    """All findings, the worst first, else in the order of the tables."""
    found = [
        *(finding for mirror in standing.mirrors for finding in _mirror(mirror, standing)),
        *(finding for client in standing.clients for finding in _client(client, standing)),
    ]
    order = [Level.OFF, Level.UNKNOWN, Level.NOTE]
    return sorted(found, key=lambda finding: order.index(finding.level))


def verdict(findings: Iterable[Finding]) -> Level:
    """OFF where anything is off, else UNKNOWN where anything cannot be told, else OK."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.OFF, Level.UNKNOWN) if level in levels), Level.OK)


def _mirror(mirror: MirrorStanding, standing: Standing) -> Iterator[Finding]:
    def finding(level: Level, cell: str, text: str) -> Finding:
        return Finding(level, mirror.name, None, cell, text)

    if mirror.failed is not None:
        yield finding(Level.UNKNOWN, "host", f"gave no answer: {_without_name(mirror.failed, mirror.name)}")
        return
    for problem in mirror.problems:
        yield finding(Level.UNKNOWN, "host", f"cannot be understood: {problem}")
    yield from _records(mirror, standing.at)
    yield from _disk(mirror)
    end = mirror.certificate_end
    if end is not None:
        left = end - standing.at
        if left <= 0:
            yield finding(Level.OFF, "certificate", f"the certificate ended on {day(end)}: run `up`")
        elif left < CERTIFICATE_DAYS * 86400:
            yield finding(Level.OFF, "certificate", f"the certificate ends in {span(left)}: run `up`")
        elif left < standing.renew_before_days * 86400:
            text = f"the certificate ends in {span(left)}: the next `up` renews it"
            yield finding(Level.NOTE, "certificate", text)
    for cache in mirror.caches:
        for level, cell, text in _cache(cache, standing):
            yield Finding(level, mirror.name, cache.upstream, cell, text)


def _records(mirror: MirrorStanding, at: float) -> Iterator[Finding]:
    for who, written, cell in (
        ("collector", mirror.collected_at, "held"),
        ("prober", mirror.probed_at, "upstream"),
    ):
        if written is None and not mirror.problems:
            text = f"the {who} has written nothing yet, so what it counts is not known"
            yield Finding(Level.UNKNOWN, mirror.name, None, cell, text)
        elif written is not None and at - written > STALE_SECONDS:
            text = f"the {who} does not run: it wrote last {ago(at - written)}"
            yield Finding(Level.OFF, mirror.name, None, cell, text)


def _disk(mirror: MirrorStanding) -> Iterator[Finding]:
    free, least = mirror.disk_free, mirror.min_free
    if free is not None and least is not None and free < least:
        text = f"{size(free)} are free on the disk, less than cache.minFree, {size(least)}"
        yield Finding(Level.OFF, mirror.name, None, "disk", text)
    if mirror.held is not None and mirror.limit is not None and mirror.held > mirror.limit:
        level = Level.OFF if mirror.held > mirror.limit * OVER_LIMIT else Level.NOTE
        text = f"the caches hold {size(mirror.held)}, above cache.limit, {size(mirror.limit)}"
        yield Finding(level, mirror.name, None, "held", text)


def _cache(cache: CacheStanding, standing: Standing) -> Iterator[tuple[Level, str, str]]:
    if cache.container is None:
        yield Level.UNKNOWN, "container", "Docker on the mirror does not say whether the cache runs"
    elif not cache.runs:
        yield Level.OFF, "container", f"the cache does not run ({cache.container}): run `up`"
    elif "(unhealthy)" in cache.container:
        yield Level.OFF, "container", f"the cache is not healthy ({cache.container})"
    if cache.held is not None and cache.limit is not None and cache.held > cache.limit:
        level = Level.OFF if cache.held > cache.limit * OVER_LIMIT else Level.NOTE
        yield level, "held", f"the cache holds {size(cache.held)}, above its limit, {size(cache.limit)}"
    probe = cache.probe
    if probe is not None:
        if probe.refusal is not None or not probe.up:
            what = REFUSALS.get(probe.refusal or "unreachable", f"refuses ({probe.refusal})")
            yield (
                Level.OFF,
                "upstream",
                f"the upstream {what}" + (f" ({probe.detail})" if probe.detail else ""),
            )
        limit, left = probe.rate_limit, probe.rate_limit_remaining
        if left is not None and left <= 0:
            yield Level.OFF, "rate_limit", "nothing is left of the upstream's rate limit"
        elif limit and left is not None and left < limit * RATE_SHARE:
            yield Level.NOTE, "rate_limit", f"{left} of {limit} are left of the upstream's rate limit"
    if cache.recent is not None and cache.recent.errors:
        text = f"{cache.recent.errors} requests to the upstream failed in the last {standing.hours} h"
        yield Level.NOTE, "upstream", text


def _client(client: ClientStanding, standing: Standing) -> Iterator[Finding]:
    def finding(level: Level, cell: str, text: str) -> Finding:
        return Finding(level, client.name, None, cell, text)

    if client.failed is not None:
        yield finding(Level.UNKNOWN, "host", f"gave no answer: {_without_name(client.failed, client.name)}")
        return
    if client.no_docker is not None:
        yield finding(Level.OFF, "uses", f"Docker does not answer: {client.no_docker}")
        return
    place = "/etc/docker/certs.d/docker.io/hosts.toml" if client.containerd_store else "the running Docker"
    missing = [url for url in client.expected if url not in client.mirrors]
    foreign = [url for url in client.mirrors if url not in standing.names]
    if missing:
        yield finding(Level.OFF, "uses", f"{place} does not have the mirror {', '.join(missing)}: run `up`")
    if foreign:
        yield finding(Level.NOTE, "uses", f"{place} has a mirror besides: {', '.join(foreign)}")
    if not client.expected:
        return
    yield from _way(client, standing)
    if client.last_use is None and any(mirror.collected_at is not None for mirror in standing.mirrors):
        yield finding(Level.NOTE, "last_pull", "no mirror has seen it pull anything yet")


def _way(client: ClientStanding, standing: Standing) -> Iterator[Finding]:
    watched = client.watched
    past, unknown = watched.that_went(Way.PAST), watched.that_went(Way.UNKNOWN)
    if watched.since is None:
        text = "whether it went past its mirrors is not known: Docker does not tell what it pulled"
        yield Finding(Level.UNKNOWN, client.name, None, "past", text)
    elif past:
        last = past[-1]
        count = f"{len(past)} of {len(watched.pulls)} pulls" if len(watched.pulls) > 1 else "its one pull"
        reason = f": {last.reason}" if last.reason else ""
        text = (
            f"{count} in the last {span(standing.at - watched.since)} went past the mirrors to Docker Hub, "
            f"the last one {ago(standing.at - last.pull.at)}, {last.pull.repository}{reason}"
        )
        yield Finding(Level.OFF, client.name, None, "past", text)
    elif unknown:
        dark = any(mirror.failed or mirror.collected_at is None for mirror in standing.mirrors)
        why = (
            "a mirror's record is missing"
            if dark
            else "who comes by an address of several, as IPv6 through Docker's proxy, looks like others"
        )
        text = f"whether {_pulls(unknown)} went past the mirrors cannot be told: {why}"
        yield Finding(Level.UNKNOWN if dark else Level.NOTE, client.name, None, "past", text)


def _pulls(pulls: Sequence[object]) -> str:
    return "a pull" if len(pulls) == 1 else f"{len(pulls)} pulls"


def _without_name(text: str, name: str) -> str:
    """What went wrong with a host, without what a row of its own says anyway."""
    return text.removeprefix(f"{name}: ").removeprefix("status.sh failed: ")
