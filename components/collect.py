"""One run of the collector on every mirror of a stack, now: ``python -m components.collect STACK``."""

from __future__ import annotations

import sys
from pathlib import Path

from components.lib.remote import HostFailed, ask_all
from components.settings_errors import SettingsError
from components.stack_hosts import hosts_of

RUN_SECONDS = 1800


def main(arguments: list[str], root: Path) -> int:
    """Prints each mirror's result as one line; exits with 1 where a run failed, 2 for wrong settings."""
    try:
        mirrors = hosts_of(arguments[0], root).mirrors
    except SettingsError as mistakes:
        print(mistakes, file=sys.stderr)
        return 2
    results = ask_all(list(mirrors.values()), lambda host: host.run("collect_now.sh", [], "", RUN_SECONDS))
    failed = False
    for name, result in results.items():
        if isinstance(result, HostFailed):
            failed = True
            print(result, file=sys.stderr)
        else:
            print(f"{name}: {result.strip()}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parent.parent))
