"""What the collector is told, in /etc/registry-cache/collect.json, by components/lib/collect_settings.py."""

import json
from typing import Any, Dict, List, NamedTuple, Optional


class Upstream(NamedTuple):
    """One cache. `limit` is its own within the mirror's, `data` the folder that its container writes to."""

    name: str
    container: str
    data: str
    limit: Optional[int]


class Settings(NamedTuple):
    """All sizes in bytes, all times in seconds; `ttl` 0 is for ever, `untagged` None keeps."""

    limit: Optional[int]
    high: float
    low: float
    min_free: str
    ttl: int
    untagged: Optional[int]
    collect: str
    upstreams: List[Upstream]

    def min_free_of(self, file_system: int) -> int:
        """The bytes to keep free of a file system of that size: a share of it (5%), or bytes."""
        if self.min_free.endswith("%"):
            return int(file_system * float(self.min_free[:-1]) / 100)
        return int(self.min_free)


def parse(text: str) -> Settings:
    """The settings from their JSON."""
    values: Dict[str, Any] = json.loads(text)
    upstreams = [
        Upstream(entry["name"], entry["container"], entry["data"], entry["limit"])
        for entry in values["upstreams"]
    ]
    return Settings(
        values["limit"],
        values["marks"]["high"],
        values["marks"]["low"],
        values["minFree"],
        values["ttl"],
        values["untagged"],
        values["collect"],
        upstreams,
    )
