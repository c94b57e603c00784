"""The folder that survives the clone: finished things only, whoever is killed when."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from toolchain.steps import say

UNFINISHED = ".unfinished-"


def cache_directory(environment: Mapping[str, str]) -> Path:
    """Where this project keeps what several clones share: XDG's cache folder, as everywhere."""
    base = environment.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path is to be ignored.
    parent = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return parent / "registry-cache"


def key_of(*parts: str | bytes) -> str:
    """A short name for exactly these inputs. Parts are hashed with their lengths: `a, bc` is not `ab, c`."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(f"{len(data)}:".encode() + data)
    return digest.hexdigest()[:16]


def files_key(files: Iterable[Path], root: Path) -> str:
    """A key of files' names, relative to `root`, and contents, whatever the order in which they are given."""
    parts: list[str | bytes] = []
    for file in sorted(files):
        parts += [file.relative_to(root).as_posix(), file.read_bytes()]
    return key_of(*parts)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Holds the cache's lock: two set-ups at once do not do the same work twice. It ends with the process."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is running on this machine; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_once(place: Path, fill: Callable[[Path], None]) -> None:
    """Makes the directory `place` by `fill`, whole or not at all. Call it with the lock held.

    `fill` gets a temporary directory beside `place`; what an earlier, killed run left of it is removed first.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    for left in place.parent.glob(f"{UNFINISHED}{place.name}-*"):
        shutil.rmtree(left)
    if place.exists():
        return
    unfinished = Path(tempfile.mkdtemp(prefix=f"{UNFINISHED}{place.name}-", dir=place.parent))
    try:
        fill(unfinished)
        unfinished.chmod(0o755)
        unfinished.rename(place)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def replace_link(link: Path, target: Path) -> None:
    """Points the symbolic link `link` at `target` in one step: nobody sees it missing."""
    if link.is_symlink() and link.readlink() == target:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f"{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
