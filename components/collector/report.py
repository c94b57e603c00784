"""What others are told: Prometheus' text, collect.json, and the journal's line."""

import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from . import eviction, registry_log
from .ledger import ERROR, HIT, KEPT_PULLS, KEPT_SECONDS, MISS

KINDS = (registry_log.BLOB, registry_log.MANIFEST)
RESULTS = (HIT, MISS, ERROR)


def totals(counters: Mapping[str, int]) -> Tuple[int, int, int, int, int, int]:
    """Hits, misses, bytes served, fetched and evicted, and errors of the upstream: a sample's columns."""

    def of(name: str) -> int:
        return counters.get(name, 0)

    return (
        sum(of(f"{kind}.{HIT}") for kind in KINDS),
        sum(of(f"{kind}.{MISS}") for kind in KINDS),
        of("served"),
        of("fetched"),
        sum(of(f"evicted_bytes.{reason}") for reason in eviction.REASONS),
        sum(of(f"error.{kind}") for kind in registry_log.ERRORS),
    )


def upstream(
    size: int,
    limit: Optional[int],
    running: bool,
    counters: Mapping[str, int],
    last_use: Optional[float],
    last_eviction: Optional[float],
) -> Dict[str, Any]:
    """One cache's part of collect.json."""

    def of(name: str) -> int:
        return counters.get(name, 0)

    return {
        "bytes": size,
        "limit": limit,
        "requests": {kind: {result: of(f"{kind}.{result}") for result in RESULTS} for kind in KINDS},
        "served": of("served"),
        "fetched": of("fetched"),
        "evictions": {
            reason: [of(f"evicted.{reason}"), of(f"evicted_bytes.{reason}")] for reason in eviction.REASONS
        },
        "last_eviction": last_eviction,
        "last_use": last_use,
        "errors": {kind: of(f"error.{kind}") for kind in registry_log.ERRORS},
        "container_up": running,
    }


def recent(rows: Sequence[Any], now: float) -> List[Any]:
    """Those of the last two days, at most as many as are kept of pulls for each cache; oldest first."""
    kept = [row for row in rows if row[0] >= now - KEPT_SECONDS]
    caches = len({row[1] for row in kept})
    return kept[-KEPT_PULLS * max(caches, 1) :]


def samples(rows: Sequence[Any], now: float) -> List[Any]:
    """The recent ones, after the last one of each cache before them: what its counters grew from."""
    before = {row[1]: row for row in rows if row[0] < now - KEPT_SECONDS}
    return [*before.values(), *recent(rows, now)]


def prometheus(state: Mapping[str, Any]) -> str:
    """The metrics of collect.json in Prometheus' text format."""
    page = _Page()
    _add_sizes(page, state)
    _add_counters(page, state["upstreams"])
    _add_times(page, state)
    return page.text()


def _add_sizes(page: "_Page", state: Mapping[str, Any]) -> None:
    upstreams: Dict[str, Dict[str, Any]] = state["upstreams"]
    page.begin("registry_cache_bytes", "gauge", "What a cache takes on disk.")
    for name, one in upstreams.items():
        page.add(one["bytes"], upstream=name)
    page.begin("registry_cache_limit_bytes", "gauge", "What a cache, or all of a mirror, may take on disk.")
    if state["limit"] is not None:
        page.add(state["limit"], upstream="all")
    for name, one in upstreams.items():
        if one["limit"] is not None:
            page.add(one["limit"], upstream=name)
    page.begin("registry_cache_disk_free_bytes", "gauge", "What is free on the caches' file system.")
    page.add(state["disk"]["free"])
    page.begin("registry_cache_disk_size_bytes", "gauge", "How large the caches' file system is.")
    page.add(state["disk"]["size"])
    page.begin("registry_cache_disk_min_free_bytes", "gauge", "What the guard keeps free of it.")
    page.add(state["min_free"])
    page.begin(
        "registry_cache_stuck_bytes", "gauge", "What is too much, but must not go or would not come free."
    )
    page.add(state["stuck"])


def _add_counters(page: "_Page", upstreams: Mapping[str, Mapping[str, Any]]) -> None:
    for metric, column, text in (
        ("registry_cache_evictions_total", 0, "Blobs that were let go of."),
        ("registry_cache_evicted_bytes_total", 1, "Their bytes."),
    ):
        page.begin(metric, "counter", text)
        for name, one in upstreams.items():
            for reason, numbers in one["evictions"].items():
                page.add(numbers[column], upstream=name, reason=reason)
    page.begin("registry_cache_requests_total", "counter", "Requests of clients for content.")
    for name, one in upstreams.items():
        for kind, results in one["requests"].items():
            for result, number in results.items():
                page.add(number, upstream=name, kind=kind, result=result)
    for metric, key, text in (
        ("registry_cache_served_bytes_total", "served", "Bytes given to clients."),
        (
            "registry_cache_fetched_bytes_total",
            "fetched",
            "Bytes given to clients that came from the upstream.",
        ),
    ):
        page.begin(metric, "counter", text)
        for name, one in upstreams.items():
            page.add(one[key], upstream=name)
    page.begin("registry_cache_upstream_errors_total", "counter", "Failed requests to the upstream.")
    for name, one in upstreams.items():
        for kind, number in one["errors"].items():
            page.add(number, upstream=name, kind=kind)


def _add_times(page: "_Page", state: Mapping[str, Any]) -> None:
    upstreams: Dict[str, Dict[str, Any]] = state["upstreams"]
    page.begin("registry_cache_last_use_timestamp_seconds", "gauge", "When a client was last served.")
    for name, one in upstreams.items():
        if one["last_use"] is not None:
            page.add(one["last_use"], upstream=name)
    page.begin("registry_cache_last_proof_timestamp_seconds", "gauge", "When a client last proved its way.")
    for client, at in state["proofs"].items():
        page.add(at, client=client)
    page.begin("registry_cache_container_up", "gauge", "Whether a cache's container runs and is well.")
    for name, one in upstreams.items():
        page.add(int(one["container_up"]), upstream=name)
    page.begin("registry_cache_collect_last_run_timestamp_seconds", "gauge", "When the collector last ran.")
    page.add(state["last_run"]["at"])
    page.begin("registry_cache_collect_last_run_seconds", "gauge", "How long it has run for.")
    page.add(state["last_run"]["seconds"])


class _Page:
    """A page of metrics in the making."""

    def __init__(self) -> None:
        self._lines: List[str] = []
        self._metric = ""

    def begin(self, metric: str, kind: str, text: str) -> None:
        self._metric = metric
        self._lines += [f"# HELP {metric} {text}", f"# TYPE {metric} {kind}"]

    def add(self, value: float, **labels: str) -> None:
        shown = ",".join(f'{name}="{_escaped(label)}"' for name, label in labels.items())
        self._lines.append(f"{self._metric}{'{' + shown + '}' if shown else ''} {value}")

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def write(path: str, text: str) -> None:
    """Puts a file in place as a whole."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    new = path + ".new"
    with open(new, "w") as stream:
        stream.write(text)
    os.replace(new, path)


def size(number: float) -> str:
    """Bytes for a reader."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(number) < 1024:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} TiB"


def line(
    run: Mapping[str, Any],
    removed: Mapping[str, Tuple[int, int]],
    limit: Optional[int],
    stuck: int,
    worked: float,
) -> str:
    """What a run did: before, after, removed, time."""
    of = "" if limit is None else f" of {size(limit)}"
    parts = [f"{objects} for {reason}" for reason, (objects, _) in sorted(removed.items())]
    why = f" ({', '.join(parts)})" if parts else ""
    text = (
        f"before {size(run['before'])}, after {size(run['after'])}{of},"
        f" removed {run['removed_objects']} blobs of {size(run['removed_bytes'])}{why},"
        f" {run['seconds']:.1f} s, {worked:.1f} s of it at work"
    )
    if stuck > 0:
        text += f"; {size(stuck)} too much, but nothing else may go: in use now, or not of the caches"
    return text
