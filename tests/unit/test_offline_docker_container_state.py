"""What Docker says of a container is read, and differs, as upstream has it."""

from typing import Any

import pytest

from offline_plugins import docker_container_state
from offline_plugins.docker_connection import Engine
from offline_plugins.docker_container import Container
from offline_plugins.values import UNKNOWN, Properties, Secret
from tests.unit.docker_container_sample import (
    EVERY_ADDRESS,
    OFFICIAL_COMPUTED,
    OFFICIAL_REPLACING,
    VALUES,
    after_create,
    checked,
    difference,
    inspected,
)


def test_a_container_as_it_was_made_does_not_differ() -> None:
    state, asked = after_create(inspected())

    assert difference(state, asked) == (set(), set())


@pytest.mark.parametrize("name", sorted(set(VALUES) - {"image", "name"}))
def test_an_input_that_is_added_differs(name: str) -> None:
    state, _ = after_create(inspected())
    changed, replaced = difference(state, checked(**{name: VALUES[name]}))

    assert changed == {name}
    assert replaced == ({name} if name in OFFICIAL_REPLACING else set())


@pytest.mark.parametrize("name", sorted(set(VALUES) - {"image", "name"}))
def test_an_input_that_is_taken_away_differs_unless_it_is_computed(name: str) -> None:
    state: Properties = checked(**{name: VALUES[name]})
    # upstream never misses a computed input, and leaves user and directory to the image
    left = {*OFFICIAL_COMPUTED, "user", "workingDir"}

    assert difference(state, checked())[0] == (set() if name in left else {name})


@pytest.mark.parametrize(
    ("path", "value", "inputs", "expected"),
    [
        pytest.param(
            "HostConfig_RestartPolicy",
            {"Name": "always", "MaximumRetryCount": 0},
            {},
            {"restart"},
            id="restart",
        ),
        pytest.param("HostConfig_Memory", 64 << 20, {"memory": 32}, {"memory"}, id="memory"),
        pytest.param(
            "HostConfig_MemorySwap",
            64 << 20,
            {"memory": 32},
            {"memory", "memorySwap"},
            id="swap that Docker chose",
        ),
        pytest.param(
            "HostConfig_CapAdd",
            ["CAP_CHOWN"],
            {"capabilities": {"adds": ["CHOWN"]}},
            {"capabilities"},
            id="a capability's long name",
        ),
        pytest.param(
            "HostConfig_CapAdd",
            ["CAP_CHOWN"],
            {"capabilities": {"adds": ["CAP_CHOWN"]}},
            set(),
            id="a capability",
        ),
        pytest.param("HostConfig_Tmpfs", {"/tmp": ""}, {}, {"tmpfs"}, id="tmpfs"),
        pytest.param("HostConfig_ReadonlyRootfs", True, {}, {"readOnly"}, id="read-only"),
        pytest.param("HostConfig_NetworkMode", "host", {}, {"networkMode"}, id="network"),
        pytest.param("Config_Image", "sha256:99", {}, set(), id="the name of an image given by id"),
        pytest.param("Image", "sha256:99", {}, {"image"}, id="another image"),
        pytest.param(
            "Image", "sha256:99", {"image": "registry:3"}, {"image"}, id="another name than the image's"
        ),
        pytest.param("Name", "/renamed", {}, {"name"}, id="name"),
        pytest.param("State", {"Running": False, "ExitCode": 1}, {}, {"mustRun"}, id="stopped"),
        pytest.param(
            "State", {"Running": False, "ExitCode": 0}, {"mustRun": False}, set(), id="ended as it may"
        ),
        pytest.param("Config_Hostname", "other", {}, set(), id="a computed hostname"),
        pytest.param("Config_Env", ["X=1"], {}, set(), id="environment, which is not read"),
        pytest.param("Config_Labels", {"x": "1"}, {}, set(), id="labels, which are not read"),
    ],
)
def test_a_refresh_notices_what_upstream_notices(
    path: str, value: Any, inputs: dict[str, Any], expected: set[str]
) -> None:
    found = inspected(**{path: value})
    if "memory" in inputs and path != "HostConfig_Memory":
        found["HostConfig"]["Memory"] = 0
    state, asked = after_create(found, **inputs)

    assert difference(state, asked)[0] == expected


def test_a_stopped_container_with_ports_is_replaced_as_upstream_does_it() -> None:
    state, asked = after_create(
        inspected(State={"Running": False, "ExitCode": 137}), ports=[{"internal": 5000, "external": 443}]
    )

    assert difference(state, asked) == ({"mustRun", "ports"}, {"ports"})
    assert state["exitCode"] == 137


@pytest.mark.parametrize(
    "name", ["envs", "labels", "mounts", "volumes", "securityOpts", "ports", "networksAdvanced"]
)
def test_lists_that_are_sets_have_no_order(name: str) -> None:
    given = VALUES[name]
    assert isinstance(given, list)
    more = (
        [*given, {**given[0], "name": "z"}]
        if name == "networksAdvanced" and isinstance(given[0], dict)
        else given
    )
    state: Properties = checked(**{name: more})

    assert difference(state, checked(**{name: more[::-1]})) == (set(), set())


def test_nor_has_an_item_of_such_a_list() -> None:
    """A message's fields come in an order of their own, another one in each process."""
    ports: list[Any] = [
        {"internal": 5000, "external": 443, "ip": ip, "protocol": "tcp"} for ip in ("0.0.0.0", "::")
    ]
    state: Properties = checked(ports=ports)
    state["ports"] = [ports[1], dict(reversed(ports[0].items()))]

    assert difference(state, checked(ports=ports)) == (set(), set())


@pytest.mark.parametrize("name", ["command", "entrypoints"])
def test_commands_have_an_order(name: str) -> None:
    state: Properties = checked(**{name: ["a", "b"]})

    assert difference(state, checked(**{name: ["b", "a"]})) == ({name}, {name})


def test_an_external_port_that_docker_chose_does_not_differ() -> None:
    published = {
        "NetworkSettings_Ports": {"80/tcp": [{"HostIp": EVERY_ADDRESS, "HostPort": "32768"}], "9/tcp": None}
    }
    state, asked = after_create(inspected(**published), ports=[{"internal": 80}])

    assert state["ports"] == [{"internal": 80, "external": 32768, "ip": EVERY_ADDRESS, "protocol": "tcp"}]
    assert difference(state, asked) == (set(), set())


def test_an_external_port_that_was_asked_for_differs() -> None:
    state: Properties = checked(ports=[{"internal": 80, "external": 8080}])

    assert difference(state, checked(ports=[{"internal": 80, "external": 8081}])) == ({"ports"}, {"ports"})


def test_a_healthcheck_reads_as_go_writes_durations() -> None:
    check = {"Test": ["CMD", "true"], "Interval": 60_000_000_000, "Timeout": 0, "Retries": 2}
    state, asked = after_create(
        inspected(Config_Healthcheck=check),
        healthcheck={"tests": ["CMD", "true"], "interval": "60s", "retries": 2},
    )

    assert state["healthcheck"] == {
        "tests": ["CMD", "true"],
        "interval": "1m0s",
        "timeout": "0s",
        "startPeriod": "0s",
        "startInterval": "0s",
        "retries": 2,
    }
    # upstream compares the texts: 60s never settles, 1m0s does
    assert difference(state, asked) == ({"healthcheck"}, set())


def test_an_unknown_image_differs_and_replaces() -> None:
    state, asked = after_create(inspected())

    assert difference(state, {**asked, "image": UNKNOWN}) == ({"image"}, {"image"})


def test_a_drift_is_shown_against_the_state_and_a_change_against_the_old_inputs() -> None:
    state, asked = after_create(inspected(State={"Running": False, "ExitCode": 1}), envs=["A=1"])
    changed = checked(envs=["A=2"])

    found = Container(Engine()).diff(asked, changed, state)

    assert {change.path[0]: change.of_inputs for change in found} == {"mustRun": False, "envs": True}


def test_secret_marks_do_not_make_a_difference() -> None:
    state: Properties = {**checked(), "envs": Secret(["A=1"])}

    assert difference(state, checked(envs=["A=1"])) == (set(), set())


def test_networks_of_a_container_are_read() -> None:
    network = {
        "IPAddress": "10.0.0.2",
        "IPPrefixLen": 24,
        "Gateway": "10.0.0.1",
        "GlobalIPv6Address": "fd::2",
        "GlobalIPv6PrefixLen": 64,
        "IPv6Gateway": "fd::1",
        "MacAddress": "02:00",
    }
    read = docker_container_state.properties(inspected(NetworkSettings_Networks={"net": network}), checked())

    assert read["networkDatas"] == [
        {
            "networkName": "net",
            "ipAddress": "10.0.0.2",
            "ipPrefixLength": 24,
            "gateway": "10.0.0.1",
            "globalIpv6Address": "fd::2",
            "globalIpv6PrefixLength": 64,
            "ipv6Gateway": "fd::1",
            "macAddress": "02:00",
        }
    ]
