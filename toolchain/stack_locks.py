"""Locks that a killed `pulumi` leaves in a file backend, and how to tell them from one that still works."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import unquote

FILE_BACKEND = "file://"


class Holder(Enum):
    """Who holds a lock."""

    GONE = "a process that is gone"
    RUNNING = "a process that is still running"
    ELSEWHERE = "a process on another machine"


@dataclass(frozen=True)
class Lock:
    """One lock file of the CLI. `since` is the CLI's own timestamp."""

    pid: int
    user: str
    machine: str
    since: str

    def __str__(self) -> str:
        return f"pid {self.pid} of {self.user}@{self.machine}, since {self.since[:19]}"


def read_lock(text: str) -> Lock:
    """Parses a lock file. Raises ValueError where it is not one."""
    content = json.loads(text)
    try:
        return Lock(int(content["pid"]), content["username"], content["hostname"], content["timestamp"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a lock of the Pulumi CLI: {error}") from error


def holder(lock: Lock, machine: str, is_pulumi: Callable[[int], bool]) -> Holder:
    """Who holds `lock`, seen from `machine`. Another machine's processes cannot be seen."""
    if lock.machine != machine:
        return Holder.ELSEWHERE
    return Holder.RUNNING if is_pulumi(lock.pid) else Holder.GONE


def is_running_pulumi(pid: int, processes: Path = Path("/proc")) -> bool:
    """Whether `pid` runs and is a Pulumi CLI: numbers are used again, after a reboot above all."""
    try:
        name = (processes / str(pid) / "comm").read_text().strip()
        state = (processes / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return _answers_signals(pid) if not processes.is_dir() else False
    # A zombie holds nothing any more; it only waits for its parent to look.
    return name == "pulumi" and state != "Z"


def _answers_signals(pid: int) -> bool:
    """For systems without /proc."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def backend_folder(environment: Mapping[str, str]) -> Path | None:
    """Where a file backend keeps everything; None for any other backend."""
    backend = environment.get("PULUMI_BACKEND_URL", "")
    if not backend.startswith(FILE_BACKEND):
        return None
    path, _, _options = backend.removeprefix(FILE_BACKEND).partition("?")
    return Path(unquote(path)).expanduser() / ".pulumi"


def lock_files(environment: Mapping[str, str], project: str, stack: str) -> list[Path]:
    """The lock files of a stack; none where the backend is not a folder on this machine."""
    folder = backend_folder(environment)
    if folder is None:
        return []
    return sorted((folder / "locks" / "organization" / project / stack).glob("*.json"))


def read_locks(files: list[Path]) -> list[Lock]:
    """The locks in `files`; one that vanishes meanwhile is no lock any more."""
    locks = []
    for file in files:
        try:
            locks.append(read_lock(file.read_text()))
        except FileNotFoundError:
            continue
    return locks


def remove_torn_attributes(environment: Mapping[str, str]) -> list[Path]:
    """Removes the empty attribute files that a kill left in a file backend; which they were.

    Beside each of its files the backend keeps one of a few attributes, not written in one step. An empty one
    makes every command fail with "failed to load checkpoint: EOF"; none at all is as good as one
    (gocloud.dev/blob/fileblob).
    """
    folder = backend_folder(environment)
    if folder is None:
        return []
    torn = [file for file in folder.rglob("*.attrs") if file.stat().st_size == 0]
    for file in torn:
        file.unlink(missing_ok=True)
    return torn
