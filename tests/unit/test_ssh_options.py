"""Every ssh verifies the host key."""

from __future__ import annotations

import subprocess
from pathlib import Path

from components.lib.ssh_options import Endpoint, Login, arguments, portable_path

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0"
LOGIN = Login("192.0.2.1", 22, "root", KEY, "~/.ssh/id_ed25519")


def effective(options: list[str], destination: str) -> dict[str, str]:
    """The options as OpenSSH itself understands them."""
    shown = subprocess.run(["ssh", "-G", *options, destination], capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in shown.stdout.splitlines() if " " in line)


def test_ssh_accepts_the_pinned_key_and_no_other() -> None:
    understood = effective(arguments(LOGIN), "root@192.0.2.1")
    assert understood["stricthostkeychecking"] == "true"
    assert understood["userknownhostsfile"] == understood["globalknownhostsfile"] == "/dev/null"
    assert understood["knownhostscommand"] == f"/bin/echo %H {KEY}"


def test_a_jump_host_is_verified_as_strictly_as_the_host_behind_it() -> None:
    login = Login("192.0.2.1", 22, "root", KEY, None, Endpoint("198.51.100.1", 2222, "hop", KEY + "x"))
    command = effective(arguments(login), "root@192.0.2.1")["proxycommand"]
    assert "StrictHostKeyChecking=yes" in command
    assert f"/bin/echo %%H {KEY}x" in command
    assert command.endswith("-W '[%h]:%p' hop@198.51.100.1")


def test_the_agent_is_asked_where_no_key_file_is_given() -> None:
    understood = effective(arguments(Login("192.0.2.1", 22, "root", KEY)), "root@192.0.2.1")
    assert understood["identitiesonly"] == "no"


def test_a_path_reads_the_same_on_each_persons_machine() -> None:
    project, home = Path("/home/ann/mirror"), Path("/home/ann")
    assert portable_path(Path("/home/ann/mirror/keys/a"), project, home) == "keys/a"
    assert portable_path(Path("/home/ann/.ssh/a"), project, home) == "~/.ssh/a"
    assert portable_path(Path("/etc/keys/a"), project, home) == "/etc/keys/a"
