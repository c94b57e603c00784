"""A host as OpenSSH reaches it, from the machine that runs the program: its host key is always verified."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from components.lib import ssh_options
from components.lib.ssh_options import Login

SCRIPTS = Path(__file__).parent.parent / "scripts"
AT_ONCE = 64
"""Hosts that are asked at the same time. Each costs one ssh process here."""
AT_ONCE_BY_JUMP = 8
_SSH_FAILED = 255

Answer = TypeVar("Answer")


class HostFailed(Exception):
    """What was run on a host did not end well; the text names the host and says why."""


class Unreachable(HostFailed):
    """The host did not let us in, or gave no answer in time."""


@dataclass(frozen=True)
class Remote:
    """A host as OpenSSH reaches it."""

    name: str
    destination: str
    options: Sequence[str]
    sudo: bool

    def run(self, script: str, arguments: Sequence[str], stdin: str, timeout: int) -> str:
        """Runs a script of ``components/scripts`` as root and gives its standard output."""
        text = (SCRIPTS / script).read_text()
        return self.call(["bash", "-c", text, script, *arguments], stdin, timeout, script)

    def feed(self, script: str, arguments: Sequence[str], timeout: int) -> str:
        """The same for a script that reads nothing: it goes there by standard input."""
        text = (SCRIPTS / script).read_text()
        return self.call(["bash", "-s", "--", *arguments], text, timeout, script)

    def call(self, command: Sequence[str], stdin: str, timeout: int, what: str) -> str:
        """Runs a command as root and gives its standard output; ``what`` it is called in an error.

        Raises Unreachable where ssh fails or time is up, and HostFailed where the command does.
        """
        line = shlex.join([*(["sudo", "-n"] if self.sudo else []), *command])
        try:
            done = subprocess.run(
                ["ssh", *self.options, self.destination, line],
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Unreachable(f"{self.name}: {what} gave no answer within {timeout} s") from None
        if done.returncode != 0:
            said = done.stderr.strip() or done.stdout.strip()
            kind = Unreachable if done.returncode == _SSH_FAILED else HostFailed
            raise kind(f"{self.name}: {what} failed: {said}")
        return done.stdout


def remote_by(name: str, login: Login) -> Remote:
    """A host that is logged in to by ``login``."""
    return Remote(name, login.destination, ssh_options.arguments(login), login.needs_sudo)


def remote(value: Mapping[str, object]) -> Remote:
    """A host from its JSON."""
    options = value["options"]
    if not isinstance(options, list):
        raise TypeError("options must be a list")
    return Remote(
        str(value["name"]), str(value["destination"]), [str(o) for o in options], bool(value["sudo"])
    )


def ask_all(hosts: Sequence[Remote], ask: Callable[[Remote], Answer]) -> dict[str, Answer | HostFailed]:
    """What ``ask`` gives for each host, by name; all are asked at once, and one that fails stops no other.

    A jump host is spared a burst: its sshd drops what comes beyond ten logins at a time (MaxStartups).
    """

    def answer(host: Remote) -> Answer | HostFailed:
        try:
            return ask(host)
        except HostFailed as reason:
            return reason

    if not hosts:
        return {}
    jumps = any("ProxyCommand=" in option for host in hosts for option in host.options)
    with ThreadPoolExecutor(max_workers=min(AT_ONCE_BY_JUMP if jumps else AT_ONCE, len(hosts))) as pool:
        return dict(zip([host.name for host in hosts], pool.map(answer, hosts), strict=True))
