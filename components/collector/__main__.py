"""`python3 -m collector watch|now`: one run under systemd (components/scripts/collect.sh).

`watch` looks at the caches for a minute and acts where it has to, and the next one, which has been waiting
for that, takes over. `now` does all there is to do once. One runs at a time: `now` has a watching one end.
"""

import argparse
import fcntl
import os
import signal
import sys
import time
import traceback
from typing import IO, List

from . import cache, report, settings
from .collector import Collector, Places
from .usage import Usage

WATCH_SECONDS = 55.0
FAILED_SECONDS = 10.0
NOTICE, ERROR = 5, 3


class Turn:
    """Whose turn it is: his who holds `lock`. Who cannot wait for a run to end holds `turn` meanwhile."""

    def __init__(self, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        # Open as long as the process lives: closed, a file is not locked.
        self._turn: IO[str] = open(os.path.join(folder, "turn"), "a")  # noqa: SIM115
        self._lock: IO[str] = open(os.path.join(folder, "lock"), "a")  # noqa: SIM115

    def demand(self) -> None:
        """Waits until the one that runs has seen that it is to end."""
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        fcntl.flock(self._turn, fcntl.LOCK_UN)

    def wait(self) -> None:
        """Waits until nobody runs, or demands to."""
        while True:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if not self.is_wanted():
                return
            self.give_up()
            fcntl.flock(self._turn, fcntl.LOCK_EX)
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def is_wanted(self) -> bool:
        """Whether somebody demands it."""
        try:
            fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        fcntl.flock(self._turn, fcntl.LOCK_UN)
        return False

    def give_up(self) -> None:
        """Lets the next one run."""
        fcntl.flock(self._lock, fcntl.LOCK_UN)


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
    turn = Turn(options.state)
    # Until it runs it has nothing to bring to an end.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: sys.exit(0))
    if options.action == "watch":
        turn.wait()
    else:
        turn.demand()
    ended: List[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _frame: ended.append(number))
    places = Places(
        os.path.join(options.state, "usage.db"),
        options.metrics,
        os.path.join(options.metrics, "upstreams.json"),
    )
    try:
        with open(options.settings) as stream:
            told = settings.parse(stream.read())
        run = Collector(
            told, Usage(places.usage), lambda: cache.containers(_read(options.containers)), places
        )
        if options.action == "watch":
            run.watch(options.seconds, lambda: bool(ended) or turn.is_wanted())
        else:
            run.once()
        run.close()
        turn.give_up()
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
        try:
            report.write(os.path.join(options.state, "now"), line + "\n")
        except OSError as error:
            _say(ERROR, f"failed: {error}")
            return 1
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
