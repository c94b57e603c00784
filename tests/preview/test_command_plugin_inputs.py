"""What the command plugin makes of inputs: checks, defaults, secrets, unknowns and differences."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.preview.command_program import COPY, LOCAL, REMOTE, CommandStack, resource
from tests.preview.loopback_sshd import LoopbackSshd
from tests.pulumi_project import Project

HOST = {"host": "192.0.2.1"}


@pytest.fixture
def stack(pulumi_project: Callable[..., Project]) -> CommandStack:
    return CommandStack(pulumi_project)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (resource(REMOTE, "a", create="true"), "the required input 'connection' is missing"),
        (resource(REMOTE, "a", connection={"user": "x"}), "the required input 'connection.host' is missing"),
        (resource(REMOTE, "a", connection=HOST, craete="true"), "'craete' is no known input"),
        (resource(REMOTE, "a", connection={**HOST, "hots": "x"}), "'connection.hots' is no known input"),
        (resource(REMOTE, "a", connection=HOST, stdin=["x"]), "'stdin' must be a string, not a list"),
        (resource(REMOTE, "a", connection=HOST, logging="all"), "'logging' must be one of stdout, stderr,"),
        (resource(LOCAL, "a", create="true", assetPaths=["*"]), "'assetPaths' is an input of the official"),
        (
            resource(LOCAL, "a", create="true", archivePaths=["*"]),
            "'archivePaths' is an input of the official",
        ),
        (resource(COPY, "a", connection=HOST, remotePath="/x"), "the required input 'source' is missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_input_is_refused_by_name_in_the_preview(
    stack: CommandStack, wrong: dict[str, Any], reason: str
) -> None:
    done = stack.declare(wrong).preview(check=False)
    assert done.code != 0
    assert reason in done.text


def test_defaults_are_those_of_the_official_schema(stack: CommandStack) -> None:
    stack.up(resource(REMOTE, "a", connection={**HOST, "proxy": {"host": "192.0.2.2", "port": 2222}}))
    login = {"user": "root", "dialErrorLimit": 10, "perDialTimeout": 15}
    proxy = {"host": "192.0.2.2", "port": 2222, **login}
    stored = stack.state("a")["inputs"]["connection"]
    assert json.loads(stored["plaintext"]) == {**HOST, "port": 22, **login, "proxy": proxy}


def test_the_connection_and_a_secret_stdin_are_nowhere_in_plain_text(
    stack: CommandStack, sshd: LoopbackSshd
) -> None:
    command = resource(
        REMOTE,
        "a",
        connection=sshd.connection(),
        create="cat >/dev/null",
        stdin={"$secret": "correct horse"},
    )
    previewed = stack.declare(command).preview().text
    went_up = stack.project.up().text
    changed = {**command, "inputs": {**command["inputs"], "stdin": {"$secret": "battery staple"}}}
    difference = stack.declare(changed).preview().text
    assert "[secret]" in previewed
    assert "[secret]" in difference
    exported = json.dumps(stack.project.export())
    key = sshd.connection()["privateKey"].splitlines()[1]
    for text in (previewed, went_up, difference, exported):
        assert "correct horse" not in text
        assert "battery staple" not in text
        assert key not in text, "the connection is secret whether or not the program says so"


def test_an_unknown_stdin_previews_as_unknown(stack: CommandStack, sshd: LoopbackSshd) -> None:
    first = resource(REMOTE, "first", connection=sshd.connection(), create="echo 1")
    second = resource(
        REMOTE, "second", connection=sshd.connection(), create="cat", stdin={"$output": ["first", "stdout"]}
    )
    assert "stdin     : [unknown]" in stack.declare(first, second).preview().text
    assert stack.up(first, second)["second.stdout"] == "1"
    changed = resource(REMOTE, "first", connection=sshd.connection(), create="echo 2")
    steps = {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in stack.declare(changed, second).planned()}
    assert steps["second"] == "update", "any update makes stdout unknown, and what depends on it runs again"
    assert stack.up(changed, second)["second.stdout"] == "2"
