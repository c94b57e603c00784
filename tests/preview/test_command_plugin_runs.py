"""What the command plugin runs on a host, when, and what comes back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.preview.command_program import REMOTE, CommandStack, resource
from tests.preview.loopback_sshd import LoopbackSshd
from tests.pulumi_project import Project

REFUSED = "This only works if your SSH server is configured to accept"


@pytest.fixture
def stack(pulumi_project: Callable[..., Project]) -> CommandStack:
    return CommandStack(pulumi_project)


def test_create_update_and_delete_run_their_commands_once(
    stack: CommandStack, sshd: LoopbackSshd, tmp_path: Path
) -> None:
    log = tmp_path / "runs"
    commands: dict[str, Any] = {
        step: f"echo {step} $(cat) >>{log}" for step in ("create", "update", "delete")
    }

    def command(stdin: str) -> dict[str, Any]:
        return resource(REMOTE, "a", connection=sshd.connection(), stdin=stdin, **commands)

    stack.up(command("1"))
    stack.up(command("1"))
    stack.up(command("2"))
    stack.project.destroy()
    assert log.read_text().splitlines() == ["create 1", "update 2", "delete 2"]


def test_an_update_without_update_runs_create_again(stack: CommandStack, sshd: LoopbackSshd) -> None:
    first = stack.up(resource(REMOTE, "a", connection=sshd.connection(), create="cat", stdin="1"))
    second = stack.up(resource(REMOTE, "a", connection=sshd.connection(), create="cat", stdin="2"))
    assert (first["a.stdout"], second["a.stdout"]) == ("1", "2")


def test_without_any_command_nothing_is_run_and_no_connection_made(
    stack: CommandStack, sshd: LoopbackSshd
) -> None:
    outputs = stack.up(resource(REMOTE, "a", connection=sshd.connection(), stdin="1"))
    stack.up(resource(REMOTE, "a", connection=sshd.connection(), stdin="2"))
    stack.project.destroy()
    assert outputs == {"a.stdout": "", "a.stderr": ""}
    assert sshd.connections() == 0


def test_triggers_replace_with_create_before_delete(
    stack: CommandStack, sshd: LoopbackSshd, tmp_path: Path
) -> None:
    log = tmp_path / "runs"

    def command(trigger: str) -> dict[str, Any]:
        return resource(
            REMOTE,
            "a",
            connection=sshd.connection(),
            create=f"echo create {trigger} >>{log}",
            delete=f"echo delete {trigger} >>{log}",
            triggers=[trigger],
        )

    stack.up(command("1"))
    planned = [step["op"] for step in stack.declare(command("2")).planned() if "::a" in step["urn"]]
    stack.project.up()
    assert planned == ["replace"]
    assert log.read_text().splitlines() == ["create 1", "create 2", "delete 1"]


def test_a_changed_connection_runs_the_command_again(stack: CommandStack, sshd: LoopbackSshd) -> None:
    stack.up(resource(REMOTE, "a", connection=sshd.connection(), create="true"))
    stack.declare(resource(REMOTE, "a", connection=sshd.connection(perDialTimeout=20), create="true"))
    (step,) = [step for step in stack.project.planned() if "::a" in step["urn"]]
    assert (step["op"], list(step["detailedDiff"])) == ("update", ["connection.perDialTimeout"])


def test_ignored_changes_are_left_alone_at_any_depth(stack: CommandStack, sshd: LoopbackSshd) -> None:
    stack.up(resource(REMOTE, "a", connection=sshd.connection(), create="true", stdin="1"))
    changed = resource(
        REMOTE,
        "a",
        connection=sshd.connection(perDialTimeout=20),
        create="true",
        stdin="2",
        options={"ignore_changes": ["connection.perDialTimeout", "stdin"]},
    )
    assert {step["op"] for step in stack.declare(changed).planned()} == {"same"}


def test_stdin_arrives_byte_for_byte(stack: CommandStack, sshd: LoopbackSshd) -> None:
    contents = {
        "unfinished": "no newline at the end",
        "empty": "",
        "odd": "tabs\tand\r\nünïcode ✓ and '\"$`\\ quotes\n\n",
        "large": "0123456789abcdef" * 65536 + "a MiB and a few bytes",
    }
    outputs = stack.up(
        *(
            resource(REMOTE, name, connection=sshd.connection(), create="sha256sum", stdin=content)
            for name, content in contents.items()
        )
    )
    for name, content in contents.items():
        arrived = outputs[f"{name}.stdout"].split()[0]
        assert arrived == hashlib.sha256(content.encode()).hexdigest(), f"the {name} input"


def test_one_trailing_newline_is_taken_off_each_output(stack: CommandStack, sshd: LoopbackSshd) -> None:
    printing = r"printf 'out\n\n'; printf ' err' >&2"
    outputs = stack.up(resource(REMOTE, "a", connection=sshd.connection(), create=printing))
    assert outputs == {"a.stdout": "out\n", "a.stderr": " err"}


def test_output_is_shown_as_logging_says(stack: CommandStack, sshd: LoopbackSshd) -> None:
    expected = {
        "stdout": (True, False),
        "stderr": (False, True),
        "stdoutAndStderr": (True, True),
        "none": (False, False),
        "default": (True, True),
    }
    stack.declare(
        *(
            resource(
                REMOTE,
                name,
                connection=sshd.connection(),
                # what is shown must not stand in the command, which is shown too
                create=f"expr 1000 + {number}; expr 2000 + {number} >&2",
                logging=None if name == "default" else name,
            )
            for number, name in enumerate(expected)
        )
    )
    text = stack.project.cli("up", "--yes", "--skip-preview", "--suppress-outputs").text
    shown = {
        name: (f" {1000 + number}" in text, f" {2000 + number}" in text)
        for number, name in enumerate(expected)
    }
    assert shown == expected


def test_a_failing_command_is_told_in_the_official_form_and_leaves_no_state(
    stack: CommandStack, sshd: LoopbackSshd
) -> None:
    text = stack.failing_up(
        resource(REMOTE, "a", connection=sshd.connection(), create='echo "it broke" >&2\nexit 3')
    )
    assert r'Process exited with status 3: running "echo \"it broke\" >&2\nexit 3":' in text
    assert "it broke" in text.split("running", 1)[1]
    with pytest.raises(KeyError):
        stack.state("a")


def test_a_command_that_is_killed_says_by_which_signal(stack: CommandStack, sshd: LoopbackSshd) -> None:
    text = stack.failing_up(resource(REMOTE, "a", connection=sshd.connection(), create="kill -TERM $$"))
    assert 'Process exited with status 143 from signal TERM: running "kill -TERM $$":' in text


def test_a_failing_update_keeps_the_old_state(stack: CommandStack, sshd: LoopbackSshd) -> None:
    stack.up(resource(REMOTE, "a", connection=sshd.connection(), create="cat", stdin="1"))
    stack.failing_up(
        resource(REMOTE, "a", connection=sshd.connection(), create="cat", update="false", stdin="2")
    )
    kept = stack.state("a")
    assert (kept["inputs"]["stdin"], kept["outputs"]["stdout"]) == ("1", "1"), "so the next up tries it again"


def test_a_failing_delete_keeps_the_resource(stack: CommandStack, sshd: LoopbackSshd) -> None:
    stack.up(resource(REMOTE, "a", connection=sshd.connection(), create="true", delete="exit 4"))
    done = stack.project.destroy(check=False)
    assert 'Process exited with status 4: running "exit 4":' in done.text
    assert stack.state("a")["id"].startswith("a")


def test_a_stock_sshd_refuses_environment_and_the_command_is_not_run(
    stack: CommandStack, sshd: LoopbackSshd, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    text = stack.failing_up(
        resource(
            REMOTE, "a", connection=sshd.connection(), create=f"touch {ran}", environment={"COLOUR": "red"}
        )
    )
    assert f"Unable to set 'COLOUR'. {REFUSED}" in text
    assert 'could not set environment variable "COLOUR": ssh: setenv failed' in text
    assert not ran.exists(), "the official plugin does not run it either"


def test_environment_arrives_where_sshd_accepts_it(
    stack: CommandStack, start_sshd: Callable[..., LoopbackSshd]
) -> None:
    accepting = start_sshd("AcceptEnv COLOUR PULUMI_COMMAND_*\n")
    command = {"connection": accepting.connection(), "environment": {"COLOUR": "dark 'red'"}}
    created = stack.up(resource(REMOTE, "a", **command, create='echo "$COLOUR"; echo noted >&2'))
    assert created["a.stdout"] == "dark 'red'"
    printing = 'echo "$PULUMI_COMMAND_STDOUT, $PULUMI_COMMAND_STDERR"'
    updated = stack.up(resource(REMOTE, "a", **command, create=printing))
    assert updated["a.stdout"] == "dark 'red', noted"
    silent = stack.up(resource(REMOTE, "a", **command, create=printing, addPreviousOutputInEnv=False))
    assert silent["a.stdout"] == ", "


@pytest.mark.parametrize(("setting", "warns"), [({}, True), ({"addPreviousOutputInEnv": False}, False)])
def test_previous_output_that_sshd_refuses_is_a_warning_unless_it_is_turned_off(
    stack: CommandStack, sshd: LoopbackSshd, setting: dict[str, Any], warns: bool
) -> None:
    stack.up(resource(REMOTE, "a", connection=sshd.connection(), create="cat", stdin="1", **setting))
    stack.declare(resource(REMOTE, "a", connection=sshd.connection(), create="cat", stdin="2", **setting))
    text = stack.project.up().text
    assert (f"Unable to set 'PULUMI_COMMAND_STDOUT'. {REFUSED}" in text) is warns
    assert stack.project.outputs()["a.stdout"] == "2"


def test_a_refresh_reads_nothing_from_the_host(stack: CommandStack, sshd: LoopbackSshd) -> None:
    stack.up(resource(REMOTE, "a", connection=sshd.connection(), create="echo 1"))
    sshd.stop()
    stack.project.refresh("--expect-no-changes")
    assert stack.state("a")["outputs"]["stdout"] == "1"


def test_twenty_commands_run_side_by_side_on_one_host(
    stack: CommandStack, sshd: LoopbackSshd, tmp_path: Path
) -> None:
    # each command waits for all others, so they end only if all twenty run at once
    meet = f"touch {tmp_path}/$(cat); until [ $(ls {tmp_path} | grep -c '^n') = 20 ]; do sleep 0.1; done"
    commands = [
        resource(REMOTE, f"n{number}", connection=sshd.connection(), create=meet, stdin=f"n{number}")
        for number in range(20)
    ]
    stack.declare(*commands).up("--parallel", "20")
    assert len(stack.project.resources()) == 22, "the stack, the provider and the commands"
