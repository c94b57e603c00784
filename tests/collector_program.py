"""The collector as its services run it: settings in a file, a program of its own, nothing installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from components import collector

PACKAGE = Path(collector.__file__).parent


def write_settings(folder: Path, data: Path, limit: int | None = None) -> None:
    """One cache of docker.io whose data is in `data`; `limit` is in bytes."""
    settings = {
        "limit": limit,
        "marks": {"high": 0.9, "low": 0.75},
        "minFree": "0",
        "ttl": 0,
        "untagged": None,
        "collect": "hourly",
        "upstreams": [{"name": "docker.io", "container": "none", "data": str(data), "limit": None}],
    }
    (folder / "collect.json").write_text(json.dumps(settings))


def command(folder: Path, action: str) -> list[str]:
    """Has the collector do `action` by the settings in `folder`; to be run beside its package."""
    places = {"settings": "collect.json", "state": "state", "metrics": "metrics", "containers": "none"}
    options = [part for name, file in places.items() for part in (f"--{name}", str(folder / file))]
    return [sys.executable, "-s", "-B", "-m", "collector", action, *options]
