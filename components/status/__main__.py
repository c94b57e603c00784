"""The command line of `make status`: ``python -m components.status STACK [--json] [--html FILE]``.

Exit codes: 0 all is well, 1 something is off, 2 something cannot be told.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from rich.console import Console

from components.settings_errors import SettingsError
from components.stack_hosts import hosts_of
from components.status import table
from components.status.asking import ask
from components.status.document import document
from components.status.judgement import EXIT_CODES, Level, judge, verdict
from components.status.standing import put_together

HOURS = 24
MOST_HOURS = 48
"""As far back as the collectors' records reach."""
WIDTH_IN_A_FILE = 120
"""Columns where there is no terminal whose width could be asked."""


def main(arguments: list[str], root: Path) -> int:
    """Asks the hosts of a stack of the project in ``root``, prints what they say, and judges it."""
    parser = argparse.ArgumentParser(prog="python -m components.status")
    parser.add_argument("stack")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the tables")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page as well")
    parser.add_argument("--hours", type=int, default=HOURS, help=f"how far to look back, 1 to {MOST_HOURS}")
    options = parser.parse_args(arguments)
    if not 1 <= options.hours <= MOST_HOURS:
        parser.error(f"--hours takes 1 to {MOST_HOURS}, not {options.hours}")
    try:
        hosts = hosts_of(options.stack, root)
    except SettingsError as mistakes:
        print(mistakes, file=sys.stderr)
        return EXIT_CODES[Level.UNKNOWN]
    answers = ask(hosts, time.time() - options.hours * 3600)
    standing = put_together(options.stack, hosts.settings, answers, time.time(), options.hours)
    findings = judge(standing)
    if options.json:
        print(json.dumps(document(standing, findings), indent=1, ensure_ascii=False))
    else:
        console = Console()
        if not console.is_terminal and "COLUMNS" not in os.environ:
            console.width = WIDTH_IN_A_FILE
        console.print(table.report(standing, findings))
    if options.html is not None:
        # Plots take a second to load, which only they should cost.
        from components.status.page import page

        try:
            _write(options.html, page(standing, findings))
        except OSError as error:
            print(f"{options.html} cannot be written: {error.strerror}", file=sys.stderr)
            return EXIT_CODES[Level.UNKNOWN]
    return EXIT_CODES[verdict(findings)]


def _write(file: Path, text: str) -> None:
    """Replaces a file whole: a browser may be looking at it."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    new.write_text(text, encoding="utf-8")
    new.replace(file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path.cwd()))
