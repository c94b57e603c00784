"""Telling the person at the terminal what is being done, and how long it took."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from toolchain.steps import spoken


def say(text: str) -> None:
    """One line to the person, on standard error."""
    sys.stderr.write(f"lab: {text}\n")
    sys.stderr.flush()


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say `what` when it begins, and the time that it took when it ends."""
    started = time.monotonic()
    say(f"{what} …")
    yield
    say(f"{what}: done in {spoken(time.monotonic() - started)}")
