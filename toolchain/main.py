"""`toolchain/setup` and `toolchain/run CMD…`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from toolchain.environment import state_directory, variables
from toolchain.steps import SetupFailed, say, spoken
from toolchain.tools import set_up


def main() -> None:
    """Runs what `start.sh` was asked for; ends the process."""
    sys.exit(_main(sys.argv[1:], Path(__file__).resolve().parent.parent))


def _main(arguments: list[str], root: Path) -> int:
    action, command = arguments[0], arguments[1:]
    if (action == "setup") == bool(command):
        say("use: toolchain/setup, or toolchain/run COMMAND [ARGUMENT …]")
        return 2
    begin = time.monotonic()
    try:
        tools = set_up(root, os.environ)
    except SetupFailed as failed:
        say(str(failed))
        return 1
    except KeyboardInterrupt:
        say("interrupted; run it again to go on")
        return 130
    if action == "setup":
        print(f"{tools.summary()} ({spoken(time.monotonic() - begin)})")
        return 0
    environment = variables(os.environ, root, tools)
    # The CLI makes the folders of its file backend, but not the parents with the right mode.
    (state_directory(root) / "pulumi").mkdir(mode=0o700, parents=True, exist_ok=True)
    state_directory(root).chmod(0o700)
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        say(f"{command[0]} cannot be started: {error.strerror}")
        return 127
