"""Telling the person at the terminal what is being done, and how long it took."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def step(what: str) -> Iterator[None]:
    """Print `what` when it begins, and the seconds it took when it ends."""
    started = time.monotonic()
    print(f"lab: {what} …", file=sys.stderr, flush=True)
    yield
    print(f"lab: {what}: {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)
