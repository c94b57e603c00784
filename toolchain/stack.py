"""`make up`, `make preview` and `make down`: the dev stack's lab, what a killed run left, then Pulumi.

Inside `toolchain/run`: python -m toolchain.stack up|preview|down STACK [--lab NAME] [--yes] [--force]
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from toolchain.environment import DEV, state_directory
from toolchain.half_made import half_made_containers
from toolchain.stack_locks import (
    Holder,
    holder,
    is_running_pulumi,
    lock_files,
    read_locks,
    remove_torn_attributes,
)
from toolchain.steps import say, spoken

POLICIES = ("--policy-pack", "policy")
"""The rules that hold before anything runs; the folder is the project's own."""


class CannotGoOn(Exception):
    """What a person has to do first. `code` is what the process ends with."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Stack:
    """A stack of the project in `root`. `yes`: no questions, also on stacks of the user's own."""

    root: Path
    name: str
    lab: str = DEV
    yes: bool = False

    @property
    def is_dev(self) -> bool:
        """Whether this is the lab's stack: nothing of the user's is in it, so nothing is asked."""
        return self.name == DEV

    def up(self) -> None:
        """Brings the stack up, its lab before it, and shows what stands."""
        if self.is_dev:
            self.lab_up()
        self.select()
        self.clear_leftovers()
        self._must("pulumi", "up", "--stack", self.name, *POLICIES, *self._unasked())
        self._must(sys.executable, "-m", "components.report", self.name)

    def preview(self, comment: Path | None = None) -> None:
        """Shows what `up` would do, and writes it into `comment` as a pull request would show it.

        The dev stack's settings come from its lab, made where it is missing.
        """
        if self.is_dev and not (state_directory(self.root) / "lab" / DEV / "stack.yaml").exists():
            self.lab_up()
        self.select()
        if comment is None:
            self._must("pulumi", "preview", "--diff", "--stack", self.name, *POLICIES)
        else:
            self._must(sys.executable, "-m", "ci.preview", "--stack", self.name, "--comment", str(comment))

    def down(self, *, force: bool) -> None:
        """Takes the stack down, and dev's lab after it. `force` drops the dev stack without its hosts."""
        if force and not self.is_dev:
            raise CannotGoOn(f"FORCE=1 forgets what stands on the hosts: not for the stack {self.name}")
        self.select()
        if force:
            self._must("pulumi", "stack", "rm", self.name, "--force", "--yes", "--preserve-config")
        else:
            self.clear_leftovers()
            if self._foreground("pulumi", "destroy", "--stack", self.name, *self._unasked()) != 0:
                hint = "\n  To drop dev and its lab all the same: make down FORCE=1" if self.is_dev else ""
                raise CannotGoOn(f"destroy did not end well: see above.{hint}")
        if self.is_dev:
            self._must(sys.executable, "-m", "lab", "down", "--name", self.lab)

    def lab_up(self) -> None:
        """Makes or repairs the dev stack's lab. Another name than dev is for a second lab on one machine."""
        if self.lab != DEV:
            place = state_directory(self.root) / "lab" / DEV
            if place.exists() and not place.is_symlink():
                raise CannotGoOn(
                    f"this clone's dev stack is on the lab dev: `make down` before LAB={self.lab}"
                )
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            place.symlink_to(self.lab)
        begin = time.monotonic()
        self._must(sys.executable, "-m", "lab", "up", "--name", self.lab)
        say(f"the lab stands after {spoken(time.monotonic() - begin)}")

    def select(self) -> None:
        """Selects the stack, made if need be, so that plain `pulumi up` in `make shell` means the same."""
        file = f"Pulumi.{self.name}.yaml"
        if not (self.root / file).exists():
            raise CannotGoOn(
                f"there is no stack file {file}. Make it from the example, and edit it:\n"
                f"    cp Pulumi.prod.yaml {file}"
            )
        remove_torn_attributes(os.environ)
        # Before the person's eyes: a new stack of their own may ask for its passphrase.
        self._must("pulumi", "stack", "select", "--create", self.name)

    def clear_leftovers(self) -> None:
        """Clears what a killed run left: by itself for the dev stack, else it says by which command."""
        self._clear_locks()
        pending = self.pending_operations()
        if not pending:
            return
        lines = "\n".join(f"    {operation}" for operation in pending)
        say(f"an earlier run was killed in the middle of {len(pending)} operation(s):\n{lines}")
        clear = ["pulumi", "refresh", "--stack", self.name, "--clear-pending-creates"]
        half_made = half_made_containers(self._deployment())
        if not self.is_dev:
            removals = [shlex.join(container.removal) for container in half_made]
            commands = "\n".join(f"    {one}" for one in [*removals, self._typed(clear)])
            say(
                "what they made, if anything, is not in the state. When you have looked, this clears them:\n"
                f"{commands}"
            )
            return
        for container in half_made:
            say(f"removing the container {container.name}, which may be there without being in the state")
            self._must(*container.removal)
        say(f"clearing them: {' '.join(clear)}")
        self._must(*clear, "--yes", "--skip-preview")

    def pending_operations(self) -> list[str]:
        """The operations that a killed run left in the state, as `creating urn:…`."""
        pending = self._deployment().get("pending_operations") or []
        return [f"{one['type']} {one['resource']['urn']}" for one in pending]

    def _deployment(self) -> dict[str, Any]:
        text = self._output(
            f"the state of {self.name} cannot be read", "stack", "export", "--stack", self.name
        )
        return dict(json.loads(text).get("deployment") or {})

    def _clear_locks(self) -> None:
        project = str(yaml.safe_load((self.root / "Pulumi.yaml").read_text())["name"])
        cancel = ["pulumi", "cancel", "--yes", "--stack", self.name]
        told = False
        while locks := read_locks(lock_files(os.environ, project, self.name)):
            holders = {lock: holder(lock, socket.gethostname(), is_running_pulumi) for lock in locks}
            lines = "\n".join(f"    {lock}: {who.value}" for lock, who in holders.items())
            locked = f"the stack {self.name} is locked by:\n{lines}"
            gone = set(holders.values()) == {Holder.GONE}
            if not self.is_dev or Holder.ELSEWHERE in holders.values():
                remedy = (
                    "Clear it, then run this again" if gone else "Wait until it is done. If it never will be"
                )
                raise CannotGoOn(f"{locked}\n  {remedy}:\n    {self._typed(cancel)}")
            if gone:
                say(f"{locked}\n  clearing it: {' '.join(cancel)}")
                self._must(*cancel)
                return
            if not told:
                say(f"{locked}\n  waiting until it is done")
                told = True
            time.sleep(0.5)

    def _typed(self, command: Sequence[str]) -> str:
        """A command as a person types it; STACK is what keeps the lab's passphrase out of it."""
        return f"STACK={self.name} toolchain/run {shlex.join(command)}"

    def _unasked(self) -> tuple[str, ...]:
        if self.is_dev:
            return ("--yes", "--skip-preview")
        return ("--yes",) if self.yes else ()

    def _output(self, problem: str, *arguments: str) -> str:
        done = subprocess.run(
            ["pulumi", *arguments], cwd=self.root, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise CannotGoOn(f"{problem}:\n{done.stderr or done.stdout}", done.returncode)
        return done.stdout

    def _must(self, *command: str) -> None:
        code = self._foreground(*command)
        if code != 0:
            # The command has said why itself.
            raise CannotGoOn("", code)

    def _foreground(self, *command: str) -> int:
        """A command's exit code. Ctrl-C reaches it too: it is left the time to end in order."""
        process = subprocess.Popen(command, cwd=self.root)
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def main(arguments: list[str], root: Path) -> int:
    """The command line of the Makefile's targets."""
    parser = argparse.ArgumentParser(prog="python -m toolchain.stack")
    parser.add_argument("action", choices=("up", "preview", "down"))
    parser.add_argument("stack")
    parser.add_argument("--lab", default=DEV)
    parser.add_argument("--yes", action="store_true")
    parser.add_argument("--force", action="store_true")
    parser.add_argument("--comment", type=Path, help="where `preview` writes what a pull request would show")
    options = parser.parse_args(arguments)
    stack = Stack(root, options.stack, options.lab, options.yes)
    try:
        if options.action == "up":
            stack.up()
        elif options.action == "preview":
            stack.preview(options.comment)
        else:
            stack.down(force=options.force)
    except CannotGoOn as reason:
        if str(reason):
            say(str(reason))
        return reason.code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parent.parent))
