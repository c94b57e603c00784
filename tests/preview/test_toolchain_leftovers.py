"""What a `pulumi up` that is killed leaves behind, and how the next `make up` gets past it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.pulumi_project import Project
from toolchain.stack import CannotGoOn, Stack
from toolchain.stack_locks import Holder, holder, is_running_pulumi, lock_files, read_locks

PROGRAM = """
import pulumi
from pulumi_command import local

first = local.Command("first", create="echo first")
after = pulumi.ResourceOptions(depends_on=[first])
local.Command("slow", create="touch started; exec sleep {seconds}", opts=after)
"""
SECONDS = 60
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(pulumi_project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose environment is this process's too, as in `toolchain/run`."""
    project = pulumi_project(PROGRAM.format(seconds=600))
    project.cli("stack", "init", "dev")
    for name, value in project.environment.items():
        monkeypatch.setenv(name, value)
    return project


@pytest.fixture
def start(project: Project) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Starts `pulumi up` and comes back when it is in the middle of a create."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(stack: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--stack", stack],
            cwd=project.directory,
            env=project.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        processes.append(process)
        deadline = time.monotonic() + SECONDS
        while not (project.directory / "started").exists():
            assert process.poll() is None, "pulumi up ended before its slow command began"
            assert time.monotonic() < deadline, "the slow command never began"
            time.sleep(0.05)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_killed_up_of_dev_is_cleared_and_the_next_one_completes(
    project: Project, start: Callable[[str], subprocess.Popen[bytes]], capfd: pytest.CaptureFixture[str]
) -> None:
    kill(start("dev"))
    stack = Stack(project.directory, "dev")
    assert lock_files(project.environment, "test-project", "dev"), "a killed up leaves its lock"
    assert [line.split("::")[-1] for line in stack.pending_operations()] == ["slow"]

    stack.clear_leftovers()

    told = capfd.readouterr().err
    assert "a process that is gone" in told
    assert "pulumi cancel --yes --stack dev" in told
    assert "creating urn:" in told
    assert stack.pending_operations() == []
    project.write(PROGRAM.format(seconds=0))
    project.up("--stack", "dev")


def test_a_killed_up_of_another_stack_is_left_alone_and_the_commands_that_are_told_clear_it(
    project: Project, start: Callable[[str], subprocess.Popen[bytes]], capfd: pytest.CaptureFixture[str]
) -> None:
    kill(start("test"))
    stack = Stack(project.directory, "test")
    with pytest.raises(CannotGoOn) as locked:
        stack.clear_leftovers()
    assert lock_files(project.environment, "test-project", "test"), "the lock is the user's to clear"

    typed(project, str(locked.value).splitlines()[-1])

    assert not lock_files(project.environment, "test-project", "test")
    stack.clear_leftovers()
    typed(project, f"{capfd.readouterr().err.splitlines()[-1]} --yes --skip-preview")
    assert stack.pending_operations() == []


def typed(project: Project, command: str) -> None:
    """Runs a command that was told, as somebody does in a new terminal in the project's folder."""
    run = project.directory / "toolchain" / "run"
    run.parent.mkdir(exist_ok=True)
    run.write_text(f'#!/bin/sh\nexec {ROOT}/toolchain/run "$@"\n')
    run.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=project.directory,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def test_a_running_up_is_seen_as_running_and_its_lock_stays(
    project: Project, start: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    process = start("test")
    (lock,) = read_locks(lock_files(project.environment, "test-project", "test"))
    assert lock.pid == process.pid
    assert holder(lock, lock.machine, is_running_pulumi) is Holder.RUNNING
    with pytest.raises(CannotGoOn, match="Wait until it is done"):
        Stack(project.directory, "test").clear_leftovers()
