"""What one command costs: wall time, CPU time, and memory of all its processes."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.2
LAST_LINES = 40


class CommandFailed(Exception):
    """A command of the bench that did not do its job: a table with its time would be worth nothing."""


@dataclass(frozen=True)
class Command:
    """A command with its directory and whole environment."""

    argv: Sequence[str]
    directory: Path
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Cost:
    """What a command and its descendants took.

    `seconds` is wall time, `cpu_seconds` the CPU time of all of them, without the hosts. `peak_bytes` is
    the peak of the sum of all processes' memory, with shared pages counted once.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def measure(command: Command, log: Path) -> Cost:
    """Runs `command` with its output in `log`. Raises CommandFailed with its last lines where it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        begin = time.monotonic()
        process = subprocess.Popen(
            command.argv,
            cwd=command.directory,
            env=dict(command.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        sampler = _Sampler(process.pid)
        sampler.start()
        # Only wait4 tells the CPU time of this one child, and of those it has waited for.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = code = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - begin
        sampler.end()
    if code != 0:
        words = "\n".join(log.read_text(errors="replace").splitlines()[-LAST_LINES:])
        raise CommandFailed(f"`{' '.join(command.argv[:4])} …` ended with exit code {code} ({log}):\n{words}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, sampler.peak_bytes)


class _Sampler(threading.Thread):
    """Adds up, now and again, the memory of a process, its descendants, and its session."""

    def __init__(self, leader: int) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self._leader = leader
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self.peak_bytes = max(self.peak_bytes, sum(map(_memory, _family(self._leader))))

    def end(self) -> None:
        self._ended.set()
        self.join()


def _family(leader: int) -> set[int]:
    parents: dict[int, int] = {}
    family = {leader}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # proc(5): the name, in parentheses, may hold blanks; then state, parent, group, session.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(entry.name)] = int(fields[1])
        if int(fields[3]) == leader:
            family.add(int(entry.name))
    grown = True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in family}
        grown = not children <= family
        family |= children
    return family


def _memory(pid: int) -> int:
    """Proportional set size in bytes; 0 for a process that has just ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
