"""Commands on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.preview.command_program import LOCAL, CommandStack, resource
from tests.pulumi_project import Project


@pytest.fixture
def stack(pulumi_project: Callable[..., Project]) -> CommandStack:
    return CommandStack(pulumi_project)


def test_a_command_runs_by_sh_in_the_programs_directory_with_its_environment(stack: CommandStack) -> None:
    stack.project.environment["INHERITED"] = "from the CLI"
    outputs = stack.up(
        resource(LOCAL, "a", create='echo "$0 $INHERITED $GIVEN"; pwd >&2', environment={"GIVEN": "an input"})
    )
    assert outputs["a.stdout"] == "/bin/sh from the CLI an input"
    assert Path(outputs["a.stderr"]) == stack.project.directory


def test_interpreter_and_directory_can_be_given(stack: CommandStack, tmp_path: Path) -> None:
    outputs = stack.up(
        resource(
            LOCAL,
            "a",
            create="import os; print(os.getcwd())",
            interpreter=["python3", "-c"],
            dir=str(tmp_path),
        )
    )
    assert Path(outputs["a.stdout"]) == tmp_path


def test_stdin_arrives_and_the_previous_output_is_in_the_environment(stack: CommandStack) -> None:
    content = "0123456789abcdef" * 65536 + "!"
    first = stack.up(resource(LOCAL, "a", create="sha256sum", stdin=content))
    assert first["a.stdout"].split()[0] == hashlib.sha256(content.encode()).hexdigest()
    second = stack.up(resource(LOCAL, "a", create="sha256sum", update='echo "was $PULUMI_COMMAND_STDOUT"'))
    assert second["a.stdout"] == f"was {first['a.stdout']}"
    third = stack.up(
        resource(LOCAL, "a", create='echo "was $PULUMI_COMMAND_STDOUT"', addPreviousOutputInEnv=False)
    )
    assert third["a.stdout"] == "was "


def test_a_command_that_does_not_read_a_large_stdin_succeeds(stack: CommandStack) -> None:
    assert stack.up(resource(LOCAL, "a", create="echo done", stdin="x" * 2**20))["a.stdout"] == "done"


def test_failures_are_told_in_the_official_form(stack: CommandStack) -> None:
    stack.declare(
        resource(LOCAL, "status", create="echo why >&2; exit 3"),
        resource(LOCAL, "signal", create="kill -KILL $$"),
        resource(LOCAL, "interpreter", create="x", interpreter=["/no/such"]),
        resource(LOCAL, "directory", create="true", dir="/no/such"),
    )
    text = stack.project.up("--continue-on-error", check=False).text
    assert 'exit status 3: running "echo why >&2; exit 3":' in text
    assert 'signal: killed: running "kill -KILL $$":' in text
    assert "fork/exec /no/such: no such file or directory" in text
    assert "chdir /no/such: no such file or directory" in text
    assert len(stack.project.resources()) == 2, "the stack and the provider, none of the commands"


def test_create_update_and_delete_run_once_and_triggers_replace(stack: CommandStack, tmp_path: Path) -> None:
    log = tmp_path / "runs"
    commands: dict[str, Any] = {
        step: f"echo {step} $(cat) >>{log}" for step in ("create", "update", "delete")
    }
    stack.up(resource(LOCAL, "a", stdin="1", triggers=["x"], **commands))
    stack.up(resource(LOCAL, "a", stdin="2", triggers=["x"], **commands))
    stack.up(resource(LOCAL, "a", stdin="3", triggers=["y"], **commands))
    stack.project.destroy()
    assert log.read_text().splitlines() == ["create 1", "update 2", "create 3", "delete 2", "delete 3"]
