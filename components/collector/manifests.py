"""Which content a manifest names."""

import json
from typing import Any, List, NamedTuple, Optional, Tuple

INDEX, MANIFEST, BLOB = 0, 1, 2
"""Kinds of content, in the order in which they go where all else is equal: who names before who is named."""


class Manifest(NamedTuple):
    """An image's manifest, or an index of several; `names` are the digests in it."""

    kind: int
    names: Tuple[str, ...]


def parse(content: bytes) -> Optional[Manifest]:
    """The manifest, or None where that is none. Knows Docker's schema 1 and 2, and OCI's."""
    try:
        document = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        # Anybody may have put it upstream, nested as deep as it gets.
        return None
    if not isinstance(document, dict):
        return None
    if isinstance(document.get("manifests"), list):
        return Manifest(INDEX, _digests(document["manifests"], "digest"))
    config = [document["config"]] if "config" in document else []
    found = _digests(config, "digest")
    for key, name in (("layers", "digest"), ("blobs", "digest"), ("fsLayers", "blobSum")):
        if isinstance(document.get(key), list):
            found += _digests(document[key], name)
    return Manifest(MANIFEST, found) if found else None


def _digests(entries: List[Any], key: str) -> Tuple[str, ...]:
    return tuple(
        entry[key] for entry in entries if isinstance(entry, dict) and isinstance(entry.get(key), str)
    )
