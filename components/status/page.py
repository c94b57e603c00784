"""One self-contained page: the tables and the plots, nothing to fetch, nothing that runs."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

import jinja2

from components.status.cells import grids
from components.status.judgement import Finding, Level, verdict
from components.status.phrases import clock
from components.status.plots import plots
from components.status.standing import Standing

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
        if (of_cache := plots(cache.samples, cache.limit or mirror.limit, standing.since, standing.at))
    ]
    return environment.get_template("page.html.j2").render(
        stack=standing.stack,
        at=clock(standing.at),
        machine_time=datetime.datetime.fromtimestamp(int(standing.at), datetime.UTC).isoformat(),
        hours=standing.hours,
        level=level.value,
        headline=HEADLINES[level],
        findings=findings,
        grids=grids(standing, findings),
        plots=drawn,
        marks={Level.OK: "", Level.NOTE: "note", Level.UNKNOWN: "unknown", Level.OFF: "off"},
    )
