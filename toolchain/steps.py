"""Long steps that say what they do and how long they took, and failures that say what to do."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PROGRESS_EVERY = 30.0
"""Seconds between two signs of life of a long step."""


class SetupFailed(Exception):
    """A step that cannot go on. Its text is what a person needs: what is wrong, where, what to do."""


def say(text: str) -> None:
    """One line to the person. On standard error: `toolchain/run CMD >file` must hold CMD's output alone."""
    print(f"toolchain: {text}", file=sys.stderr, flush=True)


def spoken(seconds: float) -> str:
    """A duration as people say it: `4.2 s`, `12 s`, `3 min 5 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


@contextmanager
def step(title: str) -> Iterator[None]:
    """Says `title` before, and the time that it took after; a step that raises says nothing more."""
    say(f"{title} …")
    begin = time.monotonic()
    yield
    say(f"{title}: done in {spoken(time.monotonic() - begin)}")


def run(
    command: Sequence[str | Path],
    *,
    remedy: str,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    seconds: float | None = None,
) -> str:
    """The standard output of `command`.

    Raises SetupFailed with the command's last lines and `remedy`, where it cannot be started, fails, or takes
    longer than `seconds`.
    """
    name = " ".join(str(part) for part in command[:3])
    try:
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            cwd=directory,
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise SetupFailed(f"`{name}` cannot be started: {error.strerror}. {remedy}") from error
    except subprocess.TimeoutExpired as error:
        raise SetupFailed(f"`{name}` did not end within {spoken(seconds or 0)}. {remedy}") from error
    if done.returncode != 0:
        raise SetupFailed(failure(name, done.returncode, done.stderr or done.stdout, remedy))
    return done.stdout


def run_counting(
    command: Sequence[str | Path], *, unit: str, remedy: str, environment: Mapping[str, str]
) -> None:
    """Runs a command that writes a line to standard error for each `unit` done, and tells how far it is.

    Raises SetupFailed as `run` does.
    """
    lines: list[str] = []
    begin = time.monotonic()
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=dict(environment),
    )
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(PROGRESS_EVERY):
            say(f"  {spoken(time.monotonic() - begin)}: {len(lines)} {unit}")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        assert process.stderr is not None
        lines.extend(line.rstrip() for line in process.stderr)
        code = process.wait()
    finally:
        ended.set()
        if process.poll() is None:
            process.terminate()
            process.wait()
    if code != 0:
        raise SetupFailed(
            failure(" ".join(str(part) for part in command[:2]), code, "\n".join(lines), remedy)
        )


def failure(name: str, code: int, output: str, remedy: str) -> str:
    """The message for a command that failed: its name, its last lines, and what to do."""
    last = "\n".join(f"    {line}" for line in output.strip().splitlines()[-15:])
    return f"`{name} …` failed with exit code {code}:\n{last}\n  {remedy}"
