"""A resource type's spec checks inputs, fills in defaults and marks secrets."""

import pytest

from offline_plugins.command_copy import CopyToRemote
from offline_plugins.command_local import LocalCommand
from offline_plugins.command_remote import RemoteCommand
from offline_plugins.spec import (
    AssetOrArchive,
    Computed,
    Field,
    Flag,
    ListOf,
    MapOf,
    Number,
    Object,
    Spec,
    Text,
    path_text,
)
from offline_plugins.values import UNKNOWN, Asset, Properties, Secret

PORT = Object(
    {"internal": Field(Number(whole=True), required=True), "protocol": Field(Text(), default="tcp")},
    refused=frozenset({"range"}),
)
SPEC = Spec(
    "x:index:Thing",
    inputs={
        "name": Field(Text(), required=True, replaces=True),
        "ports": Field(ListOf(PORT)),
        "labels": Field(MapOf(Text())),
        "wait": Field(Flag(), default=True),
        "password": Field(Text(), secret=True),
        "mode": Field(Text(choices=("on", "off"))),
        "source": Field(AssetOrArchive()),
        "login": Field(Object({"key": Field(Text(), secret=True), "zone": Field(Text(), replaces=True)})),
    },
    outputs={"address": Computed(), "token": Computed(secret=True)},
    refused=frozenset({"gpus"}),
)

MISTAKES: list[tuple[Properties, str, str]] = [
    ({}, "name", "the required input 'name' is missing"),
    ({"name": None}, "name", "the required input 'name' is missing"),
    ({"name": 5}, "name", "'name' must be a string, not a number"),
    ({"name": "a", "nmae": "b"}, "nmae", "'nmae' is no known input; known are: labels, login,"),
    (
        {"name": "a", "gpus": "all"},
        "gpus",
        "'gpus' is an input of the official plugin that this offline plugin",
    ),
    ({"name": "a", "ports": [{"internal": 1}, {}]}, "ports[1].internal", "'ports[1].internal' is missing"),
    ({"name": "a", "ports": [{"internal": 1, "range": 2}]}, "ports[0].range", "does not carry out"),
    ({"name": "a", "ports": [{"internal": 1.5}]}, "ports[0].internal", "must be a whole number"),
    ({"name": "a", "ports": "80"}, "ports", "'ports' must be a list, not a string"),
    ({"name": "a", "labels": {"a.b": 1}}, 'labels["a.b"]', "must be a string, not a number"),
    ({"name": "a", "labels": ["x"]}, "labels", "must be an object, not a list"),
    ({"name": "a", "wait": "true"}, "wait", "'wait' must be a boolean, not a string"),
    ({"name": "a", "ports": [{"internal": True}]}, "ports[0].internal", "must be a number, not a boolean"),
    ({"name": "a", "mode": "maybe"}, "mode", "'mode' must be one of on, off"),
    ({"name": "a", "source": "path"}, "source", "must be an asset or an archive, not a string"),
    ({"name": "a", "login": Secret({"kye": "x"})}, "login.kye", "'login.kye' is no known input"),
]


@pytest.mark.parametrize(("inputs", "path", "reason"), MISTAKES, ids=[mistake[2] for mistake in MISTAKES])
def test_a_mistake_is_named_with_its_path(inputs: Properties, path: str, reason: str) -> None:
    _, problems = SPEC.check(inputs)
    assert [path_text(problem.path) for problem in problems] == [path]
    assert reason in problems[0].reason


def test_all_mistakes_come_at_once() -> None:
    _, problems = SPEC.check({"wait": 1, "gpus": "all"})
    assert len(problems) == 3, "a person should not have to run once for each mistake"


def test_a_wrong_secret_is_not_shown_in_the_mistake() -> None:
    _, problems = SPEC.check({"name": "a", "password": Secret(["hunter2"]), "mode": Secret("hunter2")})
    assert len(problems) == 2
    assert not any("hunter2" in problem.reason for problem in problems)


def test_defaults_are_filled_in_at_every_depth_and_never_over_a_value() -> None:
    inputs, problems = SPEC.check({"name": "a", "wait": False, "ports": [{"internal": 1}]})
    assert problems == []
    assert inputs == {"name": "a", "wait": False, "ports": [{"internal": 1, "protocol": "tcp"}]}


def test_secret_inputs_are_marked_once_at_every_depth() -> None:
    inputs, _ = SPEC.check({"name": Secret("a"), "password": "p", "login": {"key": Secret("k")}})
    assert inputs == {
        "name": Secret("a"),
        "password": Secret("p"),
        "login": {"key": Secret("k")},
        "wait": True,
    }


def test_an_unknown_satisfies_a_required_input_of_any_type() -> None:
    _, problems = SPEC.check(
        {"name": UNKNOWN, "ports": [{"internal": UNKNOWN}, UNKNOWN], "login": Secret(UNKNOWN)}
    )
    assert problems == []


def test_the_state_holds_inputs_and_outputs_with_their_marks() -> None:
    state = SPEC.state({"name": Secret("a"), "mode": "on"}, {"address": "x", "token": "t", "name": "renamed"})
    assert state == {"name": Secret("renamed"), "mode": "on", "address": "x", "token": Secret("t")}


@pytest.mark.parametrize(
    ("path", "replaces"),
    [
        (("name",), True),
        (("labels", "a"), False),
        (("ports", 0, "internal"), False),
        (("login", "key"), False),
        (("login", "zone"), True),
    ],
)
def test_a_change_replaces_only_where_the_spec_says_so(path: tuple[str | int, ...], replaces: bool) -> None:
    assert SPEC.replaces(path) is replaces


def test_a_remote_command_takes_what_pulumi_command_takes() -> None:
    inputs, problems = RemoteCommand.spec.check({"connection": {"host": "h"}, "create": "true"})
    assert problems == []
    assert inputs["connection"] == Secret(
        {"host": "h", "port": 22, "user": "root", "dialErrorLimit": 10, "perDialTimeout": 15}
    ), "the defaults of the official schema, and the connection is secret as a whole"
    assert set(RemoteCommand.spec.inputs) == {
        *("addPreviousOutputInEnv", "connection", "create", "delete", "environment"),
        *("logging", "stdin", "triggers", "update"),
    }
    assert [name for name in RemoteCommand.spec.inputs if RemoteCommand.spec.replaces((name,))] == [
        "triggers"
    ]


@pytest.mark.parametrize("name", ["assetPaths", "archivePaths"])
def test_a_local_command_refuses_what_it_does_not_carry_out_by_name(name: str) -> None:
    _, problems = LocalCommand.spec.check({"create": "true", name: ["*.txt"]})
    assert [path_text(problem.path) for problem in problems] == [name]


def test_a_copy_needs_something_to_copy() -> None:
    inputs: Properties = {"connection": {"host": "h"}, "remotePath": "/x", "source": Asset(uri="https://e/x")}
    checked, problems = CopyToRemote.spec.check(inputs)
    assert problems == []
    (problem,) = CopyToRemote().validate(checked, {})
    assert problem.path == ("source",)
