"""What a cache's registry counts itself, under the names that registry 3 gives it."""

import json
from typing import Dict

from .families import Family, parse

PREFIX = "registry_proxy_"
# Registry 2's names for them (registry/proxy/proxymetrics.go there), and registry 3's help.
_COUNTERS = (
    ("Requests", "requests", "The number of total incoming proxy request received"),
    ("Hits", "hits", "The number of total proxy request hits"),
    ("Misses", "misses", "The number of total proxy request misses"),
    ("BytesPulled", "pulled_bytes", "The size of total bytes pulled from the upstream"),
    ("BytesPushed", "pushed_bytes", "The size of total bytes pushed to the client"),
)
_KINDS = (("blobs", "blob"), ("manifests", "manifest"))


def of_registry_3(text: str) -> Dict[str, Family]:
    """Of its /metrics, what it counts as a cache."""
    return {name: family for name, family in parse(text).items() if name.startswith(PREFIX)}


def of_registry_2(text: str) -> Dict[str, Family]:
    """Of its /debug/vars; nothing of a text that is not as it writes it."""
    try:
        counted = json.loads(text)["registry"]["proxy"]
        rows = {label: counted[kind] for kind, label in _KINDS if kind in counted}
        families = {}
        for key, name, meaning in _COUNTERS:
            samples = {'type="{}"'.format(label): str(int(row[key])) for label, row in rows.items()}
            families[PREFIX + name + "_total"] = Family("counter", meaning, samples)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return {}
    return families
