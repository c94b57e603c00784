"""Every metric that a mirror exports. Alerts, dashboard, documentation and tests go by this list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """``kind`` is Prometheus' type; ``source`` who on the mirror counts it."""

    name: str
    kind: Literal["counter", "gauge"]
    source: Literal["collector", "prober", "registry"]
    labels: tuple[str, ...] = ()


METRICS = (
    Metric("registry_cache_bytes", "gauge", "collector", ("upstream",)),
    Metric("registry_cache_limit_bytes", "gauge", "collector", ("upstream",)),
    Metric("registry_cache_disk_free_bytes", "gauge", "collector"),
    Metric("registry_cache_disk_size_bytes", "gauge", "collector"),
    Metric("registry_cache_disk_min_free_bytes", "gauge", "collector"),
    Metric("registry_cache_stuck_bytes", "gauge", "collector"),
    Metric("registry_cache_evictions_total", "counter", "collector", ("upstream", "reason")),
    Metric("registry_cache_evicted_bytes_total", "counter", "collector", ("upstream", "reason")),
    Metric("registry_cache_requests_total", "counter", "collector", ("upstream", "kind", "result")),
    Metric("registry_cache_served_bytes_total", "counter", "collector", ("upstream",)),
    Metric("registry_cache_fetched_bytes_total", "counter", "collector", ("upstream",)),
    Metric("registry_cache_upstream_errors_total", "counter", "collector", ("upstream", "kind")),
    Metric("registry_cache_last_use_timestamp_seconds", "gauge", "collector", ("upstream",)),
    Metric("registry_cache_last_proof_timestamp_seconds", "gauge", "collector", ("client",)),
    Metric("registry_cache_collect_last_run_timestamp_seconds", "gauge", "collector"),
    Metric("registry_cache_collect_last_run_seconds", "gauge", "collector"),
    Metric("registry_cache_container_up", "gauge", "collector", ("upstream",)),
    Metric("registry_cache_upstream_up", "gauge", "prober", ("upstream",)),
    Metric("registry_cache_upstream_refusal", "gauge", "prober", ("upstream", "kind")),
    Metric("registry_cache_rate_limit", "gauge", "prober", ("upstream",)),
    Metric("registry_cache_rate_limit_remaining", "gauge", "prober", ("upstream",)),
    Metric("registry_cache_probe_last_run_timestamp_seconds", "gauge", "prober"),
    Metric("registry_cache_certificate_not_after_timestamp_seconds", "gauge", "prober"),
    Metric("registry_proxy_requests_total", "counter", "registry", ("upstream", "type")),
    Metric("registry_proxy_hits_total", "counter", "registry", ("upstream", "type")),
    Metric("registry_proxy_misses_total", "counter", "registry", ("upstream", "type")),
    Metric("registry_proxy_pulled_bytes_total", "counter", "registry", ("upstream", "type")),
    Metric("registry_proxy_pushed_bytes_total", "counter", "registry", ("upstream", "type")),
)
JOB = "registry-cache"
"""The name that Prometheus' job must have for the alerts: those on what does not answer go by it."""
