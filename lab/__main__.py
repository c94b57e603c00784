"""`python -m lab up|down|status|shell`: the lab from the command line."""

import argparse
import os
import sys
from collections.abc import Sequence

from lab.command import docker
from lab.engine import engine_answers
from lab.errors import LabError
from lab.hosts import DEFAULT_HOSTS
from lab.laboratory import LAB_LABEL, Lab, down_all


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="make the lab, or repair it")
    up.add_argument("hosts", nargs="*", help=f"default: {' '.join(DEFAULT_HOSTS)}")
    down = commands.add_parser("down", help="remove the lab, and nothing else")
    down.add_argument("--all", action="store_true", help="every lab of this machine, of other clones too")
    shell = commands.add_parser("shell", help="log in to a host, or run a command there")
    shell.add_argument("host")
    shell.add_argument("remote", nargs="*", help="a command in place of a shell")
    for command in (up, down, shell):
        command.add_argument("--name", default="dev", help="which lab (default: dev)")
    commands.add_parser("status", help="the labs of this machine")
    return parser


def _status() -> None:
    rows = ""
    if engine_answers():
        template = f'{{{{.Label "{LAB_LABEL}"}}}}\t{{{{.Names}}}}\t{{{{.Status}}}}'
        rows = docker("container", "ls", "-a", "--filter", f"label={LAB_LABEL}", "--format", template)
    print(rows or "no lab stands on this machine")


def main(arguments: Sequence[str]) -> int:
    """Carry out one command; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "status":
            _status()
            return 0
        if options.command == "down" and options.all:
            down_all()
            return 0
        lab = Lab(options.name)
        if options.command == "up":
            lab.up(options.hosts or DEFAULT_HOSTS)
        elif options.command == "down":
            lab.down()
        else:
            argv = [*lab.host(options.host).ssh_command(), *options.remote]
            os.execvp(argv[0], argv)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
