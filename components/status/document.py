"""The standing as JSON, for scripts. docs/operations/status.md describes it; a key that is there stays."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from components.status.judgement import EXIT_CODES, Finding, verdict
from components.status.records import ProbedUpstream, Traffic
from components.status.standing import CacheStanding, ClientStanding, MirrorStanding, Standing
from components.status.way_of_pulls import JudgedPull, Way

VERSION = 1


def document(standing: Standing, findings: Sequence[Finding]) -> dict[str, Any]:
    """What --json prints. Sizes are bytes, times RFC 3339 in UTC, what is not known is null."""
    level = verdict(findings)
    return {
        "version": VERSION,
        "stack": standing.stack,
        "at": _time(standing.at),
        "hours": standing.hours,
        "verdict": level.value,
        "exit_code": EXIT_CODES[level],
        "findings": [
            {
                "level": one.level.value,
                "host": one.host,
                "upstream": one.upstream,
                "cell": one.cell,
                "text": one.text,
            }
            for one in findings
        ],
        "mirrors": [_mirror(mirror) for mirror in standing.mirrors],
        "clients": [_client(client, standing) for client in standing.clients],
    }


def _mirror(mirror: MirrorStanding) -> dict[str, Any]:
    return {
        "name": mirror.name,
        "address": mirror.address,
        "answers": mirror.failed is None,
        "collected_at": _time(mirror.collected_at),
        "probed_at": _time(mirror.probed_at),
        "held_bytes": mirror.held,
        "limit_bytes": mirror.limit,
        "disk_size_bytes": mirror.disk_size,
        "disk_free_bytes": mirror.disk_free,
        "min_free_bytes": mirror.min_free,
        "certificate_end": _time(mirror.certificate_end),
        "caches": [_cache(cache) for cache in mirror.caches],
    }


def _cache(cache: CacheStanding) -> dict[str, Any]:
    return {
        "upstream": cache.upstream,
        "url": cache.url,
        "container": cache.container,
        "recent": _traffic(cache.recent),
        "total": _traffic(cache.total),
        "held_bytes": cache.held,
        "limit_bytes": cache.limit,
        "last_eviction": _time(cache.last_eviction),
        "upstream_answers": _probe(cache.probe),
    }


def _traffic(traffic: Traffic | None) -> dict[str, Any] | None:
    if traffic is None:
        return None
    return {
        "since": _time(traffic.since) if traffic.since else None,
        "hits": traffic.hits,
        "misses": traffic.misses,
        "hit_ratio": traffic.hit_ratio,
        "served_bytes": traffic.served,
        "fetched_bytes": traffic.fetched,
        "saved_bytes": traffic.saved,
        "evicted_bytes": traffic.evicted,
        "upstream_errors": traffic.errors,
    }


def _probe(probe: ProbedUpstream | None) -> dict[str, Any] | None:
    if probe is None:
        return None
    return {
        "up": probe.up,
        "refusal": probe.refusal,
        "detail": probe.detail,
        "rate_limit": probe.rate_limit,
        "rate_limit_remaining": probe.rate_limit_remaining,
    }


def _client(client: ClientStanding, standing: Standing) -> dict[str, Any]:
    use, watched = client.last_use, client.watched
    return {
        "name": client.name,
        "address": client.address,
        "answers": client.failed is None,
        "docker": client.failed is None and client.no_docker is None,
        "image_store": "containerd" if client.containerd_store else "graph driver",
        "mirrors": [{"url": url, "mirror": standing.names.get(url)} for url in client.mirrors],
        "expected": list(client.expected),
        "watched_since": _time(watched.since),
        "pulls": {way.value: len(watched.that_went(way)) for way in Way},
        "last_past": _past(watched.that_went(Way.PAST)),
        "last_pull": None if use is None else {"at": _time(use.at), "mirror": use.mirror, "image": use.image},
    }


def _past(pulls: Sequence[JudgedPull]) -> dict[str, Any] | None:
    if not pulls:
        return None
    last = pulls[-1]
    return {"at": _time(last.pull.at), "image": last.pull.repository, "reason": last.reason}


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC).isoformat().replace("+00:00", "Z")
