"""Where a mirror's metrics lie."""

import os
import stat
import threading
import time
from typing import Callable, Dict, List, Mapping

from . import families, registry_counters
from .families import Family

STALE_SECONDS = 120
"""The health check writes a registry's counters every ten seconds: older ones are of one that is gone."""
LARGEST_FILE = 4 << 20
COUNTERS: Mapping[str, Callable[[str], Dict[str, Family]]] = {
    ".metrics": registry_counters.of_registry_3,
    ".vars.json": registry_counters.of_registry_2,
}


class Removed(Exception):
    """A directory is no longer there: another may stand in its place."""


class Sources:
    """The directories, opened while this process may still reach them."""

    def __init__(self, metrics: str, registries: Mapping[str, str]) -> None:
        self._metrics = os.open(metrics, os.O_RDONLY | os.O_DIRECTORY)
        self._listing = threading.Lock()
        self._registries = {
            name: os.open(directory, os.O_RDONLY | os.O_DIRECTORY) for name, directory in registries.items()
        }

    def text(self) -> str:
        """All of it. Raises Removed."""
        for directory in (self._metrics, *self._registries.values()):
            if os.fstat(directory).st_nlink == 0:
                raise Removed
        found: List[Mapping[str, Family]] = [
            families.parse(_read(self._metrics, name)) for name in self._names() if name.endswith(".prom")
        ]
        for registry, directory in sorted(self._registries.items()):
            for name, understand in COUNTERS.items():
                counters = understand(_read(directory, name, time.time() - STALE_SECONDS))
                found.append(families.with_label(counters, 'upstream="{}"'.format(registry)))
        return families.render(found)

    def _names(self) -> List[str]:
        # An open directory has one place at which it is read: two threads would share the names out.
        with self._listing:
            return sorted(os.listdir(self._metrics))


def _read(directory: int, name: str, not_before: float = 0) -> str:
    """A file's text; empty where there is none, or none that is new enough."""
    try:
        # Caches write in their directories: nothing but a plain file of theirs is followed or waited for.
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except OSError:
        return ""
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode) or status.st_mtime < not_before:
        os.close(file)
        return ""
    with open(file, "rb") as opened:
        return opened.read(LARGEST_FILE).decode("utf-8", "replace")
