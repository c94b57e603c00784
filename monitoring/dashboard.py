"""The Grafana dashboard: ``python -m monitoring.dashboard >monitoring/dashboard.json``.

Made by Grafana's own library (https://github.com/grafana/grafana-foundation-sdk), for Grafana 10 and later.
"""

from __future__ import annotations

import sys
from typing import TypeAlias

from grafana_foundation_sdk.builders import dashboard as board
from grafana_foundation_sdk.builders import stat, timeseries
from grafana_foundation_sdk.builders.common import ReduceDataOptions, StackingConfig, VizLegendOptions
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableHide,
    VariableRefresh,
)

from monitoring.alerts import DAY

Panel: TypeAlias = stat.Panel | timeseries.Panel

SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
WHERE = 'instance=~"$mirror"'
SOME = f'{WHERE},upstream=~"$upstream"'
SERVED, FETCHED = "registry_cache_served_bytes_total", "registry_cache_fetched_bytes_total"
REQUESTS = "registry_cache_requests_total"
HIT, ANSWERED = ',result="hit"', ',result=~"hit|miss"'
GREEN, YELLOW, RED = "green", "yellow", "red"
SIXTH, THIRD = 4, 8
"""Of the width, which is 24."""


def query(expression: str, legend: str = "", *, instant: bool = False) -> Dataquery:
    """One query of the chosen Prometheus."""
    asked = Dataquery().datasource(SOURCE).expr(expression).legend_format(legend)
    return asked.instant() if instant else asked.range()


def number(
    title: str, meaning: str, unit: str, expression: str, steps: list[tuple[float | None, str]]
) -> stat.Panel:
    """A number of now, coloured by ``steps``: from which value on, which colour."""
    return (
        stat.Panel()
        .title(title)
        .description(meaning)
        .datasource(SOURCE)
        .unit(unit)
        .span(SIXTH)
        .height(4)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(
            board.ThresholdsConfig()
            .mode(ThresholdsMode.ABSOLUTE)
            .steps([Threshold(value=value, color=color) for value, color in steps])
        )
        .with_target(query(expression, instant=True))
    )


def plot(title: str, meaning: str, unit: str, *queries: Dataquery, stacked: bool = False) -> timeseries.Panel:
    """Lines over time."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(meaning)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .span(THIRD)
        .height(8)
        .line_width(1)
        .fill_opacity(20 if stacked else 0)
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
        )
    )
    if stacked:
        panel = panel.stacking(StackingConfig().mode(StackingMode.NORMAL))
    for asked in queries:
        panel = panel.with_target(asked)
    return panel


def rate(metric: str, by: str, where: str = "") -> str:
    """A counter's growth each second, of the chosen mirrors and upstreams."""
    return f"sum by ({by}) (rate({metric}{{{SOME}{where}}}[$__rate_interval]))"


def grown(metric: str, over: str, by: str = "", where: str = "") -> str:
    """A counter's growth over a time."""
    return f"sum by ({by}) (increase({metric}{{{SOME}{where}}}[{over}]))"


def now() -> list[Panel]:
    """What a person looks for first."""
    return [
        number(
            "Hit ratio, 24 hours",
            "Of what clients asked for, the part that the caches had.",
            "percentunit",
            f"{grown(REQUESTS, '24h', where=HIT)} / {grown(REQUESTS, '24h', where=ANSWERED)}",
            [(None, RED), (0.3, YELLOW), (0.6, GREEN)],
        ),
        number(
            "Saved, 24 hours",
            "Bytes that clients got and that no upstream had to send.",
            "bytes",
            f"{grown(SERVED, '24h')} - {grown(FETCHED, '24h')}",
            [(None, GREEN)],
        ),
        number(
            "Free disk, in parts of cache.minFree",
            "The mirror with the least: below 1 the cache gives way, below 0.5 it is critical.",
            "none",
            f"min(registry_cache_disk_free_bytes{{{WHERE}}} / registry_cache_disk_min_free_bytes{{{WHERE}}})",
            [(None, RED), (0.5, YELLOW), (1, GREEN)],
        ),
        number(
            "Rate limit left",
            "Of the pulls that an upstream allows, the part that is left; the worst of them.",
            "percentunit",
            f"min(registry_cache_rate_limit_remaining{{{SOME}}} / registry_cache_rate_limit{{{SOME}}})",
            [(None, RED), (0.1, YELLOW), (0.25, GREEN)],
        ),
        number(
            "First certificate ends in",
            "A `make up` renews it 30 days before.",
            "s",
            f"min(registry_cache_certificate_not_after_timestamp_seconds{{{WHERE}}}) - time()",
            [(None, RED), (3 * DAY, YELLOW), (21 * DAY, GREEN)],
        ),
        number(
            "Upstreams that serve",
            "The part of them that would serve a cache now.",
            "percentunit",
            f"avg(registry_cache_upstream_up{{{SOME}}})",
            [(None, RED), (1, GREEN)],
        ),
    ]


def served() -> list[Panel]:
    """What clients get."""
    return [
        plot(
            "Requests",
            "Of clients to the caches, by what came of them.",
            "reqps",
            query(rate(REQUESTS, "result"), "{{result}}"),
            stacked=True,
        ),
        plot(
            "Hit ratio",
            "Of blobs and manifests together.",
            "percentunit",
            query(
                f"{rate(REQUESTS, 'upstream', HIT)} / {rate(REQUESTS, 'upstream', ANSWERED)}", "{{upstream}}"
            ),
        ),
        plot(
            "Traffic",
            "What clients got, and what came from the upstreams for it.",
            "Bps",
            query(rate(SERVED, "upstream"), "served {{upstream}}"),
            query(rate(FETCHED, "upstream"), "fetched {{upstream}}"),
        ),
    ]


def held() -> list[Panel]:
    """What lies on the mirrors' disks."""
    return [
        plot(
            "Held, and the limit",
            "On disk, by upstream, and what cache.limit allows.",
            "bytes",
            query(f'registry_cache_bytes{{{SOME},upstream!="all"}}', "{{instance}} {{upstream}}"),
            query(f'registry_cache_limit_bytes{{{WHERE},upstream="all"}}', "{{instance}} limit"),
            query(f"registry_cache_stuck_bytes{{{WHERE}}}", "{{instance}} too much, and cannot go"),
        ),
        plot(
            "Free disk",
            "Of the file system that the caches are on, and what cache.minFree keeps free.",
            "bytes",
            query(f"registry_cache_disk_free_bytes{{{WHERE}}}", "{{instance}} free"),
            query(f"registry_cache_disk_min_free_bytes{{{WHERE}}}", "{{instance}} kept free"),
            query(f"registry_cache_disk_size_bytes{{{WHERE}}}", "{{instance}} size"),
        ),
        plot(
            "Taken away",
            "Bytes that gave way to others, by why.",
            "bytes",
            query(grown("registry_cache_evicted_bytes_total", "$__rate_interval", "reason"), "{{reason}}"),
        ),
        plot(
            "Taken away, objects",
            "Blobs and tags that gave way, by why.",
            "none",
            query(grown("registry_cache_evictions_total", "$__rate_interval", "reason"), "{{reason}}"),
        ),
    ]


def upstreams() -> list[Panel]:
    """What keeps the caches from fetching."""
    return [
        plot(
            "Refusals seen by the prober",
            "1 while an upstream refuses, by its kind.",
            "none",
            query(
                f"max by (upstream, kind) (registry_cache_upstream_refusal{{{SOME}}}) > 0",
                "{{upstream}} {{kind}}",
            ),
        ),
        plot(
            "Fetches that were refused",
            "Of real pulls, by kind.",
            "none",
            query(
                grown("registry_cache_upstream_errors_total", "$__rate_interval", "upstream, kind"),
                "{{upstream}} {{kind}}",
            ),
        ),
        plot(
            "Rate limit",
            "Pulls that are left, and how many there are in one window.",
            "none",
            query(f"registry_cache_rate_limit_remaining{{{SOME}}}", "{{instance}} {{upstream}} left"),
            query(f"registry_cache_rate_limit{{{SOME}}}", "{{instance}} {{upstream}} limit"),
        ),
    ]


def running() -> list[Panel]:
    """Whether the parts do what they are there for."""
    return [
        plot(
            "Since the last run",
            "Of the guard and of the prober, and how long the guard took.",
            "s",
            query(since("registry_cache_collect_last_run_timestamp_seconds", WHERE), "{{instance}} guard"),
            query(since("registry_cache_probe_last_run_timestamp_seconds", WHERE), "{{instance}} prober"),
            query(f"registry_cache_collect_last_run_seconds{{{WHERE}}}", "{{instance}} guard's run took"),
        ),
        plot(
            "Since the last use",
            "Of each cache by a client, and since each client's last proof.",
            "s",
            query(since("registry_cache_last_use_timestamp_seconds", SOME), "{{instance}} {{upstream}}"),
            query(since("registry_cache_last_proof_timestamp_seconds", WHERE), "proof of {{client}}"),
        ),
        plot(
            "Containers that run",
            "1 for each cache that does.",
            "none",
            query(f"registry_cache_container_up{{{SOME}}}", "{{instance}} {{upstream}}"),
        ),
    ]


def own_counters() -> list[Panel]:
    """As the registries count it themselves: from zero with each start."""
    return [
        plot(
            "Requests, by the registries",
            "Their own counters.",
            "reqps",
            query(rate("registry_proxy_requests_total", "type"), "requests {{type}}"),
            query(rate("registry_proxy_hits_total", "type"), "hits {{type}}"),
            query(rate("registry_proxy_misses_total", "type"), "misses {{type}}"),
        ),
        plot(
            "Traffic, by the registries",
            "Their own counters.",
            "Bps",
            query(rate("registry_proxy_pushed_bytes_total", "type"), "to clients {{type}}"),
            query(rate("registry_proxy_pulled_bytes_total", "type"), "from upstreams {{type}}"),
        ),
    ]


def since(metric: str, where: str) -> str:
    """How long ago a moment is."""
    return f"time() - {metric}{{{where}}}"


def dashboard() -> board.Dashboard:
    """All of it."""
    whole = (
        board.Dashboard("Registry caches")
        .uid("registry-cache")
        .description("Mirrors of registry-cache: what they serve and hold, and what keeps them from it.")
        .tags(["registry-cache"])
        .editable()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .time("now-24h", "now")
        .refresh("1m")
        .with_variable(board.DatasourceVariable("source").label("Prometheus").type("prometheus"))
        .with_variable(_choice("mirror", "Mirror", "label_values(registry_cache_upstream_up, instance)"))
        .with_variable(
            _choice("upstream", "Upstream", f"label_values(registry_cache_upstream_up{{{WHERE}}}, upstream)")
        )
    )
    for title, panels in (
        ("Now", now()),
        ("What is served", served()),
        ("What is held", held()),
        ("The upstreams", upstreams()),
        ("Whether it all runs", running()),
        ("As the registries count it", own_counters()),
    ):
        whole = whole.with_row(board.Row(title))
        for panel in panels:
            whole = whole.with_panel(panel)
    return whole


def _choice(name: str, label: str, values: str) -> board.QueryVariable:
    return (
        board.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(values)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .hide(VariableHide.DONT_HIDE)
    )


def render() -> str:
    """As Grafana imports it."""
    return JSONEncoder(sort_keys=True, indent=2).encode(dashboard().build()) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
