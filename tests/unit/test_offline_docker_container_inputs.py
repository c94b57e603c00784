"""A Container takes the official inputs, and refuses by name those that it does not carry out."""

import pytest

from offline_plugins.docker_connection import Engine
from offline_plugins.docker_container import Container
from offline_plugins.docker_container_spec import SPEC, problems
from offline_plugins.engine import EngineConnection, ResourceLog
from offline_plugins.handler import Call
from offline_plugins.spec import path_text
from offline_plugins.values import UNKNOWN, Properties
from tests.unit.docker_container_sample import (
    EVERY_ADDRESS,
    OFFICIAL_COMPUTED,
    OFFICIAL_REPLACING,
    OFFICIAL_UPDATING,
    VALUES,
)

URN = "urn:pulumi:dev::registry-cache::docker:index/container:Container::cache"


def call() -> Call:
    return Call(URN, ResourceLog(EngineConnection(""), URN))


def test_every_official_input_is_taken_or_refused_by_name() -> None:
    assert set(SPEC.inputs) | SPEC.refused == OFFICIAL_REPLACING | OFFICIAL_UPDATING
    assert not set(SPEC.inputs) & SPEC.refused
    assert set(VALUES) == set(SPEC.inputs), "each of them is tested below"


@pytest.mark.parametrize("name", sorted(SPEC.refused))
def test_an_input_that_is_not_carried_out_is_refused_by_name(name: str) -> None:
    _, wrong = SPEC.check({"image": "sha256:12", name: "x"})

    assert [problem.path for problem in wrong] == [(name,)]
    assert f"'{name}' is an input of the official plugin" in wrong[0].reason


@pytest.mark.parametrize(
    ("inputs", "path"),
    [
        ({"mounts": [{"type": "volume", "target": "/x", "volumeOptions": {}}]}, "mounts[0].volumeOptions"),
        ({"networksAdvanced": [{"name": "n", "macAddress": "x"}]}, "networksAdvanced[0].macAddress"),
    ],
)
def test_a_nested_input_that_is_not_carried_out_is_refused_by_its_path(inputs: Properties, path: str) -> None:
    _, wrong = SPEC.check({"image": "sha256:12", **inputs})

    assert [path_text(problem.path) for problem in wrong] == [path]


@pytest.mark.parametrize("name", sorted(SPEC.inputs))
def test_a_changed_input_replaces_or_updates_as_the_schema_says(name: str) -> None:
    assert SPEC.replaces((name,)) == (name in OFFICIAL_REPLACING)


def test_a_container_is_deleted_before_it_is_replaced() -> None:
    assert SPEC.delete_before_replace


def test_computed_outputs_are_the_official_ones() -> None:
    assert set(SPEC.outputs) == OFFICIAL_COMPUTED


def test_defaults_are_the_official_ones() -> None:
    done, _ = SPEC.check({"image": "sha256:12", "ports": [{"internal": 1}], "healthcheck": {}})

    assert done == {
        "image": "sha256:12",
        "mustRun": True,
        "networkMode": "bridge",
        "readOnly": False,
        "removeVolumes": True,
        "restart": "no",
        "start": True,
        "wait": False,
        "waitTimeout": 60,
        "ports": [{"internal": 1, "ip": EVERY_ADDRESS, "protocol": "tcp"}],
        "healthcheck": {
            "interval": "0s",
            "retries": 0,
            "startInterval": "0s",
            "startPeriod": "0s",
            "timeout": "0s",
        },
    }


@pytest.mark.parametrize(
    ("inputs", "path"),
    [
        ({"command": ["a", ""]}, "command[1]"),
        ({"healthcheck": {"interval": "30"}}, "healthcheck.interval"),
        ({"volumes": [{"hostPath": "/x"}]}, "volumes[0]"),
        ({"volumes": [{"containerPath": "/x", "fromContainer": "y"}]}, "volumes[0]"),
        ({"volumes": [{"containerPath": "/x", "hostPath": "relative"}]}, "volumes[0].hostPath"),
        ({"memory": -1}, "memory"),
        ({"memorySwap": -2}, "memorySwap"),
    ],
)
def test_a_value_that_cannot_be_is_named_by_its_path(inputs: Properties, path: str) -> None:
    done, _ = SPEC.check({"image": "sha256:12", **inputs})

    assert [path_text(problem.path) for problem in problems(done)] == [path]


def test_values_that_are_not_known_yet_are_no_mistakes() -> None:
    done, wrong = SPEC.check({"image": UNKNOWN, "command": UNKNOWN, "volumes": [UNKNOWN], "memory": UNKNOWN})

    assert not wrong
    assert not problems(done)


def test_a_name_is_made_once_and_then_kept() -> None:
    handler = Container(Engine())
    first = handler.fill_in(call(), {"image": "x"}, {})
    again = handler.fill_in(call(), {"image": "y"}, first)

    assert str(first["name"]).startswith("cache-")
    assert len(str(first["name"])) == len("cache-") + 7
    assert again["name"] == first["name"]
    assert handler.fill_in(call(), {"name": "given"}, first)["name"] == "given"
