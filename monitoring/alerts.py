"""The alert rules, and alerts.yml made of them: ``python -m monitoring.alerts >monitoring/alerts.yml``.

All durations are in one place, so that a test can have the same rules fire within its own patience.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

import yaml

from monitoring.catalogue import JOB

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
PAGE = "docs/operations/alerts.md"
UP = f'up{{job="{JOB}"}}'


@dataclass(frozen=True)
class Durations:
    """In seconds. ``…_for`` is how long a condition holds before the alert fires."""

    evaluation: int = 30
    disk_low_for: int = 15 * MINUTE
    disk_critical_for: int = 2 * MINUTE
    over_limit_for: int = 30 * MINUTE
    upstream_failing_for: int = 5 * MINUTE
    pulls_failing_window: int = 15 * MINUTE
    rate_limit_for: int = 5 * MINUTE
    unused: int = 3 * DAY
    never_used_for: int = 1 * HOUR
    certificate_warning: int = 21 * DAY
    certificate_critical: int = 3 * DAY
    certificate_for: int = 10 * MINUTE
    silent: int = 5 * MINUTE
    silent_for: int = 1 * MINUTE
    container_down_for: int = 2 * MINUTE
    mirror_down_for: int = 3 * MINUTE


@dataclass(frozen=True)
class Alert:
    """One rule. ``summary`` and ``description`` are templates of Prometheus' own."""

    name: str
    severity: Literal["warning", "critical"]
    expression: str
    hold: int
    summary: str
    description: str

    def as_rule(self) -> dict[str, object]:
        """As a rule file has it."""
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": f"{self.hold}s",
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook": f"{PAGE}#{self.name.lower()}",
            },
        }


def alerts(durations: Durations) -> list[Alert]:
    """Every rule, most urgent matter first."""
    last_use = "registry_cache_last_use_timestamp_seconds"
    collected = "registry_cache_collect_last_run_timestamp_seconds"
    probed = "registry_cache_probe_last_run_timestamp_seconds"
    certificate = "registry_cache_certificate_not_after_timestamp_seconds"
    free, kept_free = "registry_cache_disk_free_bytes", "registry_cache_disk_min_free_bytes"
    one_over = "registry_cache_bytes > 1.05 * registry_cache_limit_bytes"
    everything = 'sum by (job, instance) (registry_cache_bytes{upstream!="all"})'
    limit = 'max by (job, instance) (registry_cache_limit_bytes{upstream="all"})'
    left = "registry_cache_rate_limit_remaining / registry_cache_rate_limit"
    kinds = (
        "{{ range printf `registry_cache_upstream_refusal{job=%q,instance=%q,upstream=%q} == 1`"
        " $labels.job $labels.instance $labels.upstream | query }}{{ .Labels.kind }}{{ end }}"
    )
    errors = f"increase(registry_cache_upstream_errors_total[{durations.pulls_failing_window}s])"
    return [
        Alert(
            "RegistryCacheMirrorDown",
            "critical",
            f"{UP} == 0",
            durations.mirror_down_for,
            "{{ $labels.instance }} does not answer",
            "Prometheus gets no metrics of this mirror. If the host is down, its clients pull from Docker Hub"
            " itself, and use up its rate limit.",
        ),
        Alert(
            "RegistryCacheContainerDown",
            "critical",
            "registry_cache_container_up == 0",
            durations.container_down_for,
            "the cache of {{ $labels.upstream }} on {{ $labels.instance }} does not run",
            "Its clients go past it to the upstream. See `docker ps -a` and `docker logs` on the mirror.",
        ),
        Alert(
            "RegistryCacheDiskCritical",
            "critical",
            f"{free} < 0.5 * {kept_free}",
            durations.disk_critical_for,
            "the disk of {{ $labels.instance }} is about to be full",
            "Less than half of cache.minFree is left ({{ $value | humanize1024 }}B), though the cache gives"
            " way. When it is full, clients get truncated answers. Free space on that file system now.",
        ),
        Alert(
            "RegistryCacheDiskLow",
            "warning",
            f"{free} < {kept_free}",
            durations.disk_low_for,
            "the disk of {{ $labels.instance }} has less free than cache.minFree",
            "{{ $value | humanize1024 }}B are free, and the cache cannot give back more: something else fills"
            " that file system, or the guard does not get on.",
        ),
        Alert(
            "RegistryCacheOverLimit",
            "warning",
            f"{everything} > 1.05 * {limit} or {one_over}",
            durations.over_limit_for,
            "{{ with $labels.upstream }}the cache of {{ . }} holds{{ else }}the caches hold{{ end }}"
            " more than the limit on {{ $labels.instance }}",
            "It is {{ $value | humanize1024 }}B. The guard runs and does not get below the limit: see its"
            " log on the mirror (journalctl -t registry-cache-collect).",
        ),
        Alert(
            "RegistryCacheGuardNotRunning",
            "critical",
            f"time() - {collected} > {durations.silent} or ({UP} == 1 unless on (job, instance) {collected})",
            durations.silent_for,
            "nothing keeps the caches on {{ $labels.instance }} within their size",
            "registry-cache-collect has not run when it should: the limit and the free space are not guarded."
            " See `systemctl status registry-cache-collect.timer registry-cache-collect.service` there.",
        ),
        Alert(
            "RegistryCacheProberNotRunning",
            "warning",
            f"time() - {probed} > {durations.silent} or ({UP} == 1 unless on (job, instance) {probed})",
            durations.silent_for,
            "nobody on {{ $labels.instance }} asks the upstreams",
            "registry-cache-upstreams has not run when it should, so that failing upstreams and certificates"
            " near their end are not seen. See `systemctl status registry-cache-upstreams.timer` there.",
        ),
        Alert(
            "RegistryCacheUpstreamFailing",
            "warning",
            # Not by the refusals: where their kind changes, none of them holds for long.
            "registry_cache_upstream_up == 0",
            durations.upstream_failing_for,
            f"{{{{ $labels.upstream }}}} does not serve {{{{ $labels.instance }}}}: {kinds}",
            "What is cached is served on; what is not, clients are told is not found. The last answer stands"
            " in `journalctl -u registry-cache-upstreams` on the mirror.",
        ),
        Alert(
            "RegistryCachePullsFailing",
            "warning",
            f"sum by (job, instance, upstream, kind) ({errors}) > 2",
            0,
            "pulls from {{ $labels.upstream }} through {{ $labels.instance }} fail: {{ $labels.kind }}",
            "{{ $value | humanize }} fetches of the last minutes were refused. See `make status`, and the log"
            " of the cache's container.",
        ),
        Alert(
            "RegistryCacheRateLimitLow",
            "warning",
            f"{left} < 0.1",
            durations.rate_limit_for,
            "{{ $labels.instance }} has nearly used up the rate limit of {{ $labels.upstream }}",
            "{{ $value | humanizePercentage }} of the allowed pulls are left. At none, only what is cached is"
            " served until the limit's window has passed.",
        ),
        Alert(
            "RegistryCacheNotUsed",
            "warning",
            f"time() - max by (job, instance) ({last_use}) > {durations.unused}",
            0,
            "nobody pulls through {{ $labels.instance }}",
            "The last pull through any of its caches is {{ $value | humanizeDuration }} ago. Clients that go"
            " past it do so silently: see `make status` for each client.",
        ),
        Alert(
            "RegistryCacheNeverUsed",
            "warning",
            f"{collected} unless on (job, instance) {last_use}",
            durations.never_used_for,
            "nobody has ever pulled through {{ $labels.instance }}",
            "No client uses this mirror. See `make status` for which mirror each client has, and whether it"
            " goes past it.",
        ),
        Alert(
            "RegistryCacheCertificateEndsNow",
            "critical",
            f"{certificate} - time() < {durations.certificate_critical}",
            durations.certificate_for,
            "the certificate of {{ $labels.instance }} ends within days",
            "It ends in {{ $value | humanizeDuration }}. After that every client goes past the mirror,"
            " silently. Run `make up` now.",
        ),
        Alert(
            "RegistryCacheCertificateEndsSoon",
            "warning",
            f"{certificate} - time() < {durations.certificate_warning}",
            durations.certificate_for,
            "the certificate of {{ $labels.instance }} ends soon",
            "It ends in {{ $value | humanizeDuration }}. Any `make up` renews it 30 days before its end, so"
            " none has run lately; with tls.mode: own it is yours to replace.",
        ),
    ]


def render(durations: Durations) -> str:
    """The rule file, for Prometheus' `rule_files`."""
    document = {
        "groups": [
            {
                "name": "registry-cache",
                "interval": f"{durations.evaluation}s",
                "rules": [alert.as_rule() for alert in alerts(durations)],
            }
        ]
    }
    head = "# Made by monitoring/alerts.py: `python -m monitoring.alerts >monitoring/alerts.yml`.\n"
    return head + yaml.safe_dump(document, sort_keys=False, width=110, allow_unicode=True)


if __name__ == "__main__":
    sys.stdout.write(render(Durations()))
