"""A lab is made, repaired and removed as a whole, and leaves everything else alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab import Lab, LabError
from lab.command import docker


@pytest.fixture
def second_lab(lab: Lab, tmp_path: Path) -> Iterator[Lab]:
    """Another lab beside the run's own, by the same name and with one host."""
    other = Lab(lab.name, tmp_path / "second")
    try:
        other.up(["client-1"])
        yield other
    finally:
        other.down()


def started(lab: Lab, host: str) -> str:
    return docker("container", "inspect", "-f", "{{.Id}} {{.State.StartedAt}}", lab.host(host).container)


def test_two_labs_stand_side_by_side_and_one_leaves_without_the_other(lab: Lab, second_lab: Lab) -> None:
    first, second = lab.host("client-1"), second_lab.host("client-1")
    assert not lab.network.v4.overlaps(second_lab.network.v4)
    assert not lab.network.v6.overlaps(second_lab.network.v6)
    assert first.run("hostname").stdout == second.run("hostname").stdout == "client-1\n"
    assert first.host_key != second.host_key
    with pytest.raises(LabError):
        second.run(f"curl -sS --connect-timeout 3 telnet://{first.address}:22 </dev/null")
    untouched = started(lab, "client-1")

    container, network = second.container, second_lab.network.name
    second_lab.down()

    assert container not in docker("container", "ls", "-a", "--format", "{{.Names}}")
    assert network not in docker("network", "ls", "--format", "{{.Name}}")
    assert not second_lab.state_dir.exists()
    assert started(lab, "client-1") == untouched
    assert first.run("hostname").stdout == "client-1\n"


def test_up_again_changes_nothing_and_repairs_what_is_gone(lab: Lab) -> None:
    lab.up(["client-1", "client-2"])
    before = started(lab, "client-1"), (lab.state_dir / "stack.yaml").read_bytes()
    gone_key = lab.host("client-2").host_key

    lab.up(["client-1", "client-2"])
    assert (started(lab, "client-1"), (lab.state_dir / "stack.yaml").read_bytes()) == before

    docker("rm", "-fv", lab.host("client-2").container)
    lab.up(["client-1", "client-2"])
    assert started(lab, "client-1") == before[0]
    assert lab.host("client-2").run("hostname").stdout == "client-2\n"
    assert lab.host("client-2").host_key == gone_key


def test_a_container_that_a_killed_up_left_behind_is_made_anew(lab: Lab) -> None:
    lab.up(["client-1"])
    host = lab.host("client-1")
    image = docker("container", "inspect", "-f", "{{.Config.Image}}", host.container)
    docker("rm", "-fv", host.container)
    docker("create", "--name", host.container, "--network", lab.network.name, image)

    lab.up(["client-1"])

    assert lab.host("client-1").run("hostname").stdout == "client-1\n"


def test_the_stack_file_names_every_mirror_and_client_with_its_pinned_key(lab: Lab) -> None:
    lab.up(["mirror-1", "client-1", "client-2"])
    stack = yaml.safe_load((lab.state_dir / "stack.yaml").read_text())

    assert {
        "name": "mirror-1",
        "address": lab.host("mirror-1").address,
        "hostKey": lab.host("mirror-1").host_key,
    } in stack["mirrors"]
    assert {client["name"] for client in stack["clients"]} >= {"client-1", "client-2"}
    assert stack["registry"]["image"] == lab.registry_images["3"]
    assert (lab.state_dir.stat().st_mode & 0o777) == 0o700
    assert (lab.private_key_file.stat().st_mode & 0o777) == 0o600


def test_a_host_that_the_lab_does_not_know_is_refused_by_name(lab: Lab) -> None:
    with pytest.raises(LabError, match="no host 'mirror-9'"):
        lab.up(["mirror-9"])
    with pytest.raises(LabError, match="a lab's name"):
        Lab("../escape")
