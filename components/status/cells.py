"""The standing of a stack as tables of short texts, the same for the terminal and the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from components.status.judgement import Finding, Level
from components.status.phrases import ago, day, share, size, span
from components.status.standing import CacheStanding, ClientStanding, MirrorStanding, Standing
from components.status.way_of_pulls import Way

NOTHING = "–"
_RANK = [Level.OK, Level.NOTE, Level.UNKNOWN, Level.OFF]


@dataclass(frozen=True)
class Cell:
    """A text, and how it is judged."""

    text: str
    level: Level = Level.OK


@dataclass(frozen=True)
class Row:
    """What is in a table about one mirror, cache or client."""

    cells: Sequence[Cell]


@dataclass(frozen=True)
class Grid:
    """A table with a title. The first ``keys`` columns name what a row is about."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Row]
    keys: int = 1


def grids(standing: Standing, findings: Iterable[Finding]) -> list[Grid]:
    """The tables of mirrors, caches and clients, their cells marked by the findings."""
    found = list(findings)

    def marked(host: str, upstream: str | None, cells: dict[str, Cell]) -> Row:
        for finding in found:
            mine = finding.host == host and finding.upstream in {upstream, None}
            if mine and finding.cell in cells:
                cell = cells[finding.cell]
                cells[finding.cell] = replace(cell, level=max(cell.level, finding.level, key=_RANK.index))
        return Row(list(cells.values()))

    mirrors = [marked(one.name, None, _mirror(one, standing)) for one in standing.mirrors]
    caches = [
        marked(mirror.name, cache.upstream, _cache(mirror, cache, standing))
        for mirror in standing.mirrors
        for cache in mirror.caches
    ]
    clients = [marked(one.name, None, _client(one, standing)) for one in standing.clients]
    return [
        Grid("Mirrors", ["mirror", "host", "holds", "limit", "disk free", "certificate"], mirrors),
        Grid(
            f"Caches, the last {standing.hours} h",
            [
                *("mirror", "upstream", "cache", "answers", "rate limit left"),
                *("hits", "served", "saved", "holds", "evicted"),
            ],
            caches,
            keys=2,
        ),
        Grid("Clients", ["client", "uses", "went past", "last pull through a mirror"], clients),
    ]


def _mirror(mirror: MirrorStanding, standing: Standing) -> dict[str, Cell]:
    end = mirror.certificate_end
    left = None if end is None else end - standing.at
    return {
        "name": Cell(mirror.name),
        "host": Cell("no answer" if mirror.failed is not None else "answers"),
        "held": Cell(_or_nothing(mirror.held, size)),
        "limit": Cell(
            "none" if mirror.limit is None and mirror.collected_at else _or_nothing(mirror.limit, size)
        ),
        "disk": Cell(_free(mirror)),
        "certificate": Cell(
            NOTHING
            if end is None or left is None
            else f"{'in ' + span(left) if left > 0 else 'ended'} ({day(end)})"
        ),
    }


def _cache(mirror: MirrorStanding, cache: CacheStanding, standing: Standing) -> dict[str, Cell]:
    recent, probe = cache.recent, cache.probe
    eviction = cache.last_eviction
    if mirror.failed is not None:
        container = "no answer"
    elif cache.container is None:
        container = "unknown"
    else:
        container = "runs" if cache.runs else cache.container
    if probe is None:
        answers = "unknown"
    else:
        answers = "yes" if probe.up and probe.refusal is None else (probe.refusal or "unreachable")
    held = _or_nothing(cache.held, size)
    return {
        "name": Cell(mirror.name),
        "registry": Cell(cache.upstream),
        "container": Cell(container, Level.UNKNOWN if mirror.failed is not None else Level.OK),
        "upstream": Cell(answers.replace("_", " ")),
        "rate_limit": Cell(_rate_limit(cache)),
        "hits": Cell(NOTHING if recent is None or recent.hit_ratio is None else share(recent.hit_ratio)),
        "served": Cell(NOTHING if recent is None else size(recent.served)),
        "saved": Cell(NOTHING if recent is None else size(recent.saved)),
        "held": Cell(held if cache.limit is None else f"{held} of {size(cache.limit)}"),
        "evicted": Cell(
            ago(standing.at - eviction) if eviction is not None else NOTHING if recent is None else "never"
        ),
    }


def _client(client: ClientStanding, standing: Standing) -> dict[str, Cell]:
    names = dict.fromkeys(standing.names.get(url, url) for url in client.mirrors)
    if client.failed is not None:
        uses = Cell("no answer", Level.UNKNOWN)
    elif client.no_docker is not None:
        uses = Cell("no Docker")
    else:
        uses = Cell(", then ".join(names) or "none")
    return {
        "name": Cell(client.name),
        "uses": uses,
        "past": Cell(_past(client, standing)),
        "last_pull": Cell(_last_pull(client, standing)),
    }


def _past(client: ClientStanding, standing: Standing) -> str:
    watched = client.watched
    if client.failed is not None or client.no_docker is not None or not client.expected:
        return NOTHING
    past, unknown = watched.that_went(Way.PAST), watched.that_went(Way.UNKNOWN)
    if watched.since is None:
        return "unknown"
    if past:
        return f"{len(past)} of {len(watched.pulls)}, last {ago(standing.at - past[-1].pull.at)}"
    if unknown:
        return f"unknown for {len(unknown)} of {len(watched.pulls)}"
    count = len(watched.pulls)
    pulls = f"no, {count} pull{'s' if count > 1 else ''}" if count else "no pulls"
    return f"{pulls} in {span(standing.at - watched.since)}"


def _last_pull(client: ClientStanding, standing: Standing) -> str:
    use = client.last_use
    if use is None:
        return "unknown" if all(mirror.collected_at is None for mirror in standing.mirrors) else "never"
    image = f", {use.image}" if use.image else ""
    return f"{ago(standing.at - use.at)} at {use.mirror}{image}"


def _rate_limit(cache: CacheStanding) -> str:
    probe = cache.probe
    if probe is None or probe.rate_limit_remaining is None:
        return NOTHING
    whole = f" of {probe.rate_limit}" if probe.rate_limit is not None else ""
    return f"{probe.rate_limit_remaining}{whole}"


def _free(mirror: MirrorStanding) -> str:
    if mirror.disk_free is None:
        return NOTHING
    whole = f" ({share(mirror.disk_free / mirror.disk_size)})" if mirror.disk_size else ""
    return f"{size(mirror.disk_free)}{whole}"


def _or_nothing(value: float | None, say: Callable[[float], str]) -> str:
    return NOTHING if value is None else say(value)
