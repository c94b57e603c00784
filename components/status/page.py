"""One self-contained page: the tables and the plots, nothing to fetch, nothing that runs."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

import jinja2

from components.status.cells import NOTHING, grids
from components.status.judgement import Finding, Level, verdict
from components.status.phrases import clock, share, size
from components.status.plots import Limit, plots
from components.status.standing import CacheStanding, MirrorStanding, Standing

_HERE = Path(__file__).parent
HEADLINES = {
    Level.OK: "All well",
    Level.OFF: "Something is off",
    Level.UNKNOWN: "Something cannot be told",
}


def page(standing: Standing, findings: Sequence[Finding]) -> str:
    """The page's HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    level = verdict(findings)
    drawn = [
        (mirror.name, cache.upstream, of_cache)
        for mirror in standing.mirrors
        for cache in mirror.caches
        if (of_cache := plots(cache.samples, _limit(mirror, cache), standing.since, standing.at))
    ]
    return environment.get_template("page.html.j2").render(
        stack=standing.stack,
        at=clock(standing.at),
        machine_time=datetime.datetime.fromtimestamp(int(standing.at), datetime.UTC).isoformat(),
        hours=standing.hours,
        level=level.value,
        headline=HEADLINES[level],
        tiles=_tiles(standing),
        findings=findings,
        grids=grids(standing, findings),
        plots=drawn,
        marks={Level.OK: "", Level.NOTE: "note", Level.UNKNOWN: "unknown", Level.OFF: "off"},
    )


def _limit(mirror: MirrorStanding, cache: CacheStanding) -> Limit | None:
    if cache.limit is not None:
        return Limit(cache.limit, own=True)
    return None if mirror.limit is None else Limit(mirror.limit, own=False)


def _tiles(standing: Standing) -> list[tuple[str, str]]:
    """The sums that say whether it is worth it: a figure and what it is."""
    recent = [
        cache.recent for mirror in standing.mirrors for cache in mirror.caches if cache.recent is not None
    ]
    asked = sum(one.hits + one.misses for one in recent)
    seen = sum(
        client.last_use is not None and client.last_use.at >= standing.since for client in standing.clients
    )
    return [
        (share(sum(one.hits for one in recent) / asked) if asked else NOTHING, "of requests from the caches"),
        (size(sum(one.served for one in recent)) if recent else NOTHING, "served to clients"),
        (size(sum(one.saved for one in recent)) if recent else NOTHING, "of it not fetched again"),
        (f"{seen} of {len(standing.clients)}", "clients seen at a mirror"),
    ]
