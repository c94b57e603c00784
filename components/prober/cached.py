"""What a cache has fetched before, as its storage shows."""

import os
from typing import Optional

REPOSITORIES = "docker/registry/v2/repositories"


def some_manifest(data: str) -> Optional[str]:
    """A manifest that the cache has by a tag, as `NAME/manifests/TAG`; None where it has none."""
    top = os.path.join(data, REPOSITORIES)
    for folder, names, _ in os.walk(top):
        if "_manifests" in names:
            try:
                tags = sorted(os.listdir(os.path.join(folder, "_manifests", "tags")))
            except OSError:
                tags = []
            if tags:
                return "{}/manifests/{}".format(os.path.relpath(folder, top), tags[0])
        names[:] = sorted(name for name in names if not name.startswith("_"))
    return None
