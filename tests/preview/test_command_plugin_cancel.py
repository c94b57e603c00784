"""A command that is interrupted ends on the host too, and leaves no half state; the plugin ends quickly."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.preview.command_program import LOCAL, REMOTE, CommandStack, resource
from tests.preview.loopback_sshd import LoopbackSshd
from tests.pulumi_project import Project

PATIENCE = 20.0
"""Seconds until something that must happen has not happened."""

ENDLESS = """trap 'echo "$(cat {file})" ended >>{file}; exit 1' TERM
sleep 1000 & echo $! >{file}.child
echo $$ >{file}.new && mv {file}.new {file}
wait"""
"""Starts a child, writes its own process id to a file, and waits without end."""


@pytest.fixture
def stack(pulumi_project: Callable[..., Project]) -> CommandStack:
    return CommandStack(pulumi_project)


def wait_until(happened: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not happened():
        assert time.monotonic() < deadline, f"not within {patience} s: {what}"
        time.sleep(0.02)


def start_up(stack: CommandStack, *resources: dict[str, Any]) -> subprocess.Popen[str]:
    """`pulumi up` in a process group of its own, as a shell starts it."""
    project = stack.declare(*resources)
    return subprocess.Popen(
        ["pulumi", "--non-interactive", "up", "--yes", "--skip-preview"],
        cwd=project.directory,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )


def plugins_of(stack: CommandStack) -> list[int]:
    """The command plugins that this stack's CLI started, known by its PULUMI_HOME."""
    home = stack.project.environment["PULUMI_HOME"].encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_plugin = b"offline_plugins.command" in (process / "cmdline").read_bytes()
            if is_plugin and home in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue  # it ended while we looked
    return found


def is_running(process: str) -> bool:
    try:
        return ") Z " not in (Path("/proc") / process.strip() / "stat").read_text()
    except FileNotFoundError:
        return False


def started(file: Path) -> list[str]:
    """The ids of the command and of its child, once it runs."""
    wait_until(file.exists, "the command runs on the host")
    return [file.read_text().strip(), file.with_name(f"{file.name}.child").read_text().strip()]


@pytest.mark.parametrize("kind", [REMOTE, LOCAL])
def test_ctrl_c_ends_the_command_and_its_children_and_leaves_no_half_state(
    stack: CommandStack, sshd: LoopbackSshd, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "running"
    where = {"connection": sshd.connection()} if kind == REMOTE else {}
    cli = start_up(stack, resource(kind, "a", create=ENDLESS.format(file=file), **where))
    processes = started(file)
    os.killpg(cli.pid, signal.SIGINT)
    text, _ = cli.communicate(timeout=PATIENCE)
    assert cli.returncode != 0
    assert "the operation was cancelled" in text
    assert not any(is_running(process) for process in processes), "a process was left behind on the host"
    assert "ended" in file.read_text(), "a command can tidy up: it gets TERM first"
    assert not stack.project.export()["deployment"].get("pending_operations")
    with pytest.raises(KeyError):
        stack.state("a")
    stack.up(resource(kind, "a", create="true", **where))


def test_a_command_that_ignores_term_is_killed(
    stack: CommandStack, sshd: LoopbackSshd, tmp_path: Path
) -> None:
    file = tmp_path / "running"
    stubborn = (
        f"trap '' TERM; sleep 1000 & echo $! >{file}.child; echo $$ >{file}.new; mv {file}.new {file}; wait"
    )
    cli = start_up(stack, resource(REMOTE, "a", connection=sshd.connection(), create=stubborn))
    processes = started(file)
    os.killpg(cli.pid, signal.SIGINT)
    cli.communicate(timeout=PATIENCE)
    wait_until(lambda: not any(is_running(process) for process in processes), "the command ends")


def test_an_interrupted_update_keeps_the_old_state(
    stack: CommandStack, sshd: LoopbackSshd, tmp_path: Path
) -> None:
    file = tmp_path / "running"
    stack.up(resource(REMOTE, "a", connection=sshd.connection(), create="echo 1"))
    cli = start_up(
        stack,
        resource(
            REMOTE, "a", connection=sshd.connection(), create="echo 1", update=ENDLESS.format(file=file)
        ),
    )
    started(file)
    os.killpg(cli.pid, signal.SIGINT)
    cli.communicate(timeout=PATIENCE)
    kept = stack.state("a")
    assert (kept["inputs"].get("update"), kept["outputs"]["stdout"]) == (None, "1")


def test_no_plugin_outlives_the_cli(stack: CommandStack, sshd: LoopbackSshd) -> None:
    stack.up(resource(REMOTE, "a", connection=sshd.connection(), create="true"))
    assert plugins_of(stack) == []


def test_plugin_and_command_end_within_seconds_of_a_killed_cli(
    stack: CommandStack, sshd: LoopbackSshd, tmp_path: Path
) -> None:
    file = tmp_path / "running"
    cli = start_up(
        stack, resource(REMOTE, "a", connection=sshd.connection(), create=ENDLESS.format(file=file))
    )
    processes = started(file)
    assert len(plugins_of(stack)) == 1
    cli.kill()
    cli.communicate(timeout=PATIENCE)
    wait_until(lambda: plugins_of(stack) == [], "the plugin ends", patience=6)
    wait_until(lambda: not any(is_running(process) for process in processes), "the command ends")
    stack.project.cli("cancel", "--yes")
    repaired = stack.declare(resource(REMOTE, "a", connection=sshd.connection(), create="echo 1"))
    repaired.refresh("--clear-pending-creates")
    repaired.up()
    assert repaired.outputs()["a.stdout"] == "1"


def test_the_plugin_ends_within_a_second_of_being_told_to(
    stack: CommandStack, sshd: LoopbackSshd, tmp_path: Path
) -> None:
    file = tmp_path / "running"
    cli = start_up(
        stack, resource(REMOTE, "a", connection=sshd.connection(), create=ENDLESS.format(file=file))
    )
    processes = started(file)
    (plugin,) = plugins_of(stack)
    os.kill(plugin, signal.SIGTERM)
    wait_until(lambda: plugins_of(stack) == [], "the plugin ends", patience=1)
    cli.communicate(timeout=PATIENCE)
    wait_until(lambda: not any(is_running(process) for process in processes), "the command ends")
