"""What a mirror's collector is told: /etc/registry-cache/collect.json, which components/collector reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from components.lib.durations import seconds_of
from components.lib.sizes import bytes_of

HIGH, LOW = 0.9, 0.75
"""The marks, as shares of a limit: passing the high one, data goes until the low one.

What is above the high mark is for what comes in until something is freed; what is between the two makes that
a rare event, for it reads every link, and not a constant one. docs/adr/0008 has the reasons.
"""


@dataclass(frozen=True)
class CollectSettings:
    """As in the stack's settings; `own_limits` by the registry's name."""

    limit: str | None
    min_free: str
    ttl: str
    untagged: str
    collect: str
    own_limits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CachePlace:
    """A cache on its host."""

    registry: str
    container: str
    data_directory: str


def render(settings: CollectSettings, caches: Sequence[CachePlace]) -> str:
    """The JSON, a line for each value, so that a preview shows just the one that changes."""
    own = settings.own_limits
    document = {
        "limit": None if settings.limit is None else bytes_of(settings.limit),
        "marks": {"high": HIGH, "low": LOW},
        "minFree": settings.min_free if settings.min_free.endswith("%") else str(bytes_of(settings.min_free)),
        "ttl": seconds_of(settings.ttl),
        "untagged": None if settings.untagged == "keep" else seconds_of(settings.untagged),
        "collect": settings.collect,
        "upstreams": [
            {
                "name": cache.registry,
                "container": cache.container,
                "data": cache.data_directory,
                "limit": bytes_of(own[cache.registry]) if cache.registry in own else None,
            }
            for cache in caches
        ],
    }
    return json.dumps(document, indent=1) + "\n"
