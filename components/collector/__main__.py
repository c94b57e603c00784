"""`python3 -m collector watch|now`: one run under systemd (components/scripts/collect.sh).

`watch` looks at the caches for a minute and acts where it has to; systemd starts the next one. `now` does
all there is to do once. One runs at a time: `now` asks a watching one to end.
"""

import argparse
import fcntl
import os
import signal
import sys
import time
import traceback
from typing import IO, List

from . import collector, settings
from .collector import Collector, Places
from .usage import Usage

WATCH_SECONDS = 55.0
FAILED_SECONDS = 10.0
NOTICE, ERROR = 5, 3


class Turn:
    """Whose turn it is. Who wants to run holds `turn` while waiting for `lock`: that shows it waits."""

    def __init__(self, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        # Open as long as the process lives: closed, a file is not locked.
        self._turn: IO[str] = open(os.path.join(folder, "turn"), "a")  # noqa: SIM115
        self._lock: IO[str] = open(os.path.join(folder, "lock"), "a")  # noqa: SIM115

    def take(self) -> None:
        """Waits until nobody else runs. Ends with the process."""
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        fcntl.flock(self._turn, fcntl.LOCK_UN)

    def is_wanted(self) -> bool:
        """Whether somebody waits."""
        try:
            fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        fcntl.flock(self._turn, fcntl.LOCK_UN)
        return False


def main(arguments: List[str]) -> int:
    """One run; the exit code."""
    parser = argparse.ArgumentParser(prog="collector", description=__doc__)
    parser.add_argument("action", choices=("watch", "now"))
    parser.add_argument("--settings", default="/etc/registry-cache/collect.json")
    parser.add_argument("--state", default="/var/lib/registry-cache/collect")
    parser.add_argument("--metrics", default="/var/lib/registry-cache/metrics")
    parser.add_argument("--containers", default="/run/registry-cache/containers")
    parser.add_argument("--seconds", type=float, default=WATCH_SECONDS)
    options = parser.parse_args(arguments)
    ended: List[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ended.append(number))
    signal.signal(signal.SIGINT, lambda number, _frame: ended.append(number))
    turn = Turn(options.state)
    turn.take()
    places = Places(
        os.path.join(options.state, "usage.db"),
        options.metrics,
        os.path.join(options.metrics, "upstreams.json"),
    )
    try:
        with open(options.settings) as stream:
            told = settings.parse(stream.read())
        run = Collector(told, Usage(places.usage), collector.containers(_read(options.containers)), places)
        if options.action == "watch":
            run.watch(options.seconds, lambda: bool(ended) or turn.is_wanted())
        else:
            run.once()
        run.close()
    except Exception as error:
        # Whatever it is, the journal gets one line of it, and no more than a few a minute.
        place = traceback.extract_tb(error.__traceback__)[-1]
        _say(ERROR, f"failed: {type(error).__name__}: {error} ({os.path.basename(place[0])}:{place[1]})")
        if options.action == "watch":
            time.sleep(FAILED_SECONDS)
        return 1
    line = run.line()
    _say(NOTICE, line)
    if options.action == "now":
        # For `make collect`, which shows it.
        with open(os.path.join(options.state, "now"), "w") as stream:
            stream.write(line + "\n")
    return 0


def _read(path: str) -> str:
    try:
        with open(path) as stream:
            return stream.read()
    except OSError:
        return ""


def _say(level: int, text: str) -> None:
    """One line; the journal takes its level from the front."""
    prefix = f"<{level}>" if "JOURNAL_STREAM" in os.environ else ""
    print(prefix + text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
