"""Where the lab keeps what outlives a clone, and what belongs to this clone."""

import os
from pathlib import Path

from toolchain import cache

CLONE = Path(__file__).resolve().parent.parent
SOURCES = Path(__file__).resolve().parent / "images"


def cache_directory() -> Path:
    """Images, packages and the engine's data, shared by all clones of this user."""
    return cache.cache_directory(os.environ) / "lab"


def state_directory(name: str) -> Path:
    """Keys, known hosts and stack.yaml of the lab `name` of this clone."""
    return CLONE / ".state" / "lab" / name
