"""How the command plugin logs in: host keys, login keys, agents, jump hosts and its retries."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.preview.command_program import REMOTE, CommandStack, resource
from tests.preview.loopback_sshd import LoopbackSshd, make_key
from tests.pulumi_project import Project

HANDSHAKE = "after 0 failed attempts: ssh: handshake failed: ssh: "
NO_LOGIN = "unable to authenticate, attempted methods [{}], no supported methods remain"


@pytest.fixture
def stack(pulumi_project: Callable[..., Project]) -> CommandStack:
    return CommandStack(pulumi_project)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """Starts an agent that holds one key; returns its socket's path."""
    started: list[subprocess.Popen[bytes]] = []

    def start(key: Path) -> str:
        socket = tmp_path / "agent"
        started.append(subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE))
        assert started[-1].stdout is not None
        started[-1].stdout.readline()  # it prints the socket's path when it listens
        environment = {"SSH_AUTH_SOCK": str(socket), "PATH": "/usr/bin:/bin"}
        subprocess.run(["ssh-add", "-q", str(key)], check=True, env=environment)
        return str(socket)

    yield start
    for process in started:
        process.terminate()
        process.wait()


def asking(connection: dict[str, Any]) -> dict[str, Any]:
    return resource(REMOTE, "a", connection={"dialErrorLimit": 0, **connection}, create="echo in")


def test_another_host_key_is_refused(stack: CommandStack, sshd: LoopbackSshd, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    assert f"{HANDSHAKE}host key mismatch" in stack.failing_up(asking(sshd.connection(hostKey=other)))
    assert "Accepted publickey" not in sshd.log(), "nothing may be shown to a host that is not the right one"


def test_the_host_key_is_ignored_where_none_is_given(stack: CommandStack, sshd: LoopbackSshd) -> None:
    assert stack.up(asking(sshd.connection(hostKey=None)))["a.stdout"] == "in"


def test_a_host_key_that_is_none_is_an_error(stack: CommandStack, sshd: LoopbackSshd) -> None:
    assert "failed to parse host key" in stack.failing_up(asking(sshd.connection(hostKey="SHA256:abc")))
    assert sshd.connections() == 0


def test_the_pinned_key_decides_which_of_the_hosts_keys_is_asked_for(
    stack: CommandStack, start_sshd: Callable[..., LoopbackSshd], tmp_path: Path
) -> None:
    second = tmp_path / "ecdsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(second)], check=True)
    host = start_sshd(f"HostKey {second}\n")
    assert stack.up(asking(host.connection()))["a.stdout"] == "in"
    ecdsa = second.with_suffix(".pub").read_text()
    assert stack.up(asking(host.connection(hostKey=ecdsa)))["a.stdout"] == "in"


def test_a_login_key_that_the_host_does_not_know_is_refused(
    stack: CommandStack, sshd: LoopbackSshd, tmp_path: Path
) -> None:
    make_key(tmp_path / "other")
    text = stack.failing_up(asking(sshd.connection(privateKey=(tmp_path / "other").read_text())))
    assert HANDSHAKE + NO_LOGIN.format("none publickey") in text


def test_a_login_key_with_a_passphrase_needs_it(
    stack: CommandStack, sshd: LoopbackSshd, tmp_path: Path
) -> None:
    public = make_key(tmp_path / "locked", passphrase="open sesame")
    (sshd.directory / "authorized_keys").write_text(public + "\n")
    locked = sshd.connection(privateKey=(tmp_path / "locked").read_text())
    assert "ssh: this private key is passphrase protected" in stack.failing_up(asking(locked))
    wrong = {**locked, "privateKeyPassword": "open barley"}
    assert "decryption password incorrect" in stack.failing_up(asking(wrong))
    assert stack.up(asking({**locked, "privateKeyPassword": "open sesame"}))["a.stdout"] == "in"


def test_what_is_no_login_key_is_an_error_before_anything_is_dialled(
    stack: CommandStack, sshd: LoopbackSshd
) -> None:
    assert "ssh: no key found" in stack.failing_up(asking(sshd.connection(privateKey="no key")))
    assert sshd.connections() == 0


@pytest.mark.parametrize("by_environment", [True, False], ids=["SSH_AUTH_SOCK", "agentSocketPath"])
def test_an_agent_logs_in(
    stack: CommandStack, sshd: LoopbackSshd, agent: Callable[[Path], str], by_environment: bool
) -> None:
    socket = agent(sshd.directory / "login_key")
    if by_environment:
        stack.project.environment["SSH_AUTH_SOCK"] = socket
        command = asking(sshd.connection(privateKey=None))
    else:
        command = asking(sshd.connection(privateKey=None, agentSocketPath=socket))
    assert stack.up(command)["a.stdout"] == "in"


def test_an_agent_that_is_not_there_is_an_error(
    stack: CommandStack, sshd: LoopbackSshd, tmp_path: Path
) -> None:
    missing = str(tmp_path / "no-agent")
    text = stack.failing_up(asking(sshd.connection(agentSocketPath=missing)))
    assert f"dial unix {missing}: connect: no such file or directory" in text


def test_a_port_where_nobody_listens_is_dialled_as_often_as_the_limit_says(
    stack: CommandStack, sshd: LoopbackSshd
) -> None:
    sshd.stop()
    text = stack.failing_up(asking(sshd.connection(dialErrorLimit=2)))
    assert f"after 2 failed attempts: dial tcp 127.0.0.1:{sshd.port}: connect: connection refused" in text
    assert "Dial 1/2 failed: retrying" in text
    assert "Dial 2/2 failed: retrying" in text


def test_a_jump_host_carries_the_connection(
    stack: CommandStack, sshd: LoopbackSshd, start_sshd: Callable[..., LoopbackSshd]
) -> None:
    jump = start_sshd()
    assert stack.up(asking(sshd.connection(proxy=jump.connection())))["a.stdout"] == "in"
    assert f"target 127.0.0.1 port {sshd.port}" in jump.log()
    assert "Accepted publickey" in sshd.log()


def test_the_host_keys_of_jump_host_and_host_are_both_verified(
    stack: CommandStack, sshd: LoopbackSshd, start_sshd: Callable[..., LoopbackSshd], tmp_path: Path
) -> None:
    jump, other = start_sshd(), make_key(tmp_path / "other")
    wrong_jump = sshd.connection(proxy={**jump.connection(hostKey=other), "dialErrorLimit": 0})
    assert f"proxy: {HANDSHAKE}host key mismatch" in stack.failing_up(asking(wrong_jump))
    assert sshd.connections() == 0
    wrong_host = sshd.connection(hostKey=other, proxy=jump.connection())
    assert f"proxy: {HANDSHAKE}host key mismatch" in stack.failing_up(asking(wrong_host))
