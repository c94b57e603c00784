"""The offline docker plugin through the real CLI, against the Docker engines of the lab's hosts over ssh."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import Lab
from tests.lab.docker_stage import IMAGE, PROGRAM, Stage
from tests.pulumi_project import Project

REGISTRY_LIKE: dict[str, Any] = {
    "entrypoints": ["/bin/sh", "-c", 'exec httpd -f -p 5000 -h "$1"', "serve"],
    "command": ["/www"],
    "envs": ["OTEL_TRACES_EXPORTER=none", "A=1"],
    "user": "1000:1000",
    "read_only": True,
    "tmpfs": {"/tmp": "size=16m,mode=1777"},
    "capabilities": {"drops": ["ALL"]},
    "security_opts": ["no-new-privileges:true"],
    "restart": "always",
    "network_mode": "bridge",
    "ports": [
        {"internal": 5000, "external": 8443, "ip": "0.0.0.0"},
        {"internal": 5000, "external": 8443, "ip": "::"},
    ],
    "volumes": [{"host_path": "/etc/hostname", "container_path": "/www/name", "read_only": True}],
    "mounts": [{"type": "bind", "source": "/etc/os-release", "target": "/www/os", "read_only": True}],
    "log_driver": "json-file",
    "log_opts": {"max-size": "10m", "max-file": "3"},
    "healthcheck": {"tests": ["CMD", "wget", "-q", "-O", "-", "http://127.0.0.1:5000/"], "interval": "1s"},
    "labels": [{"label": "registry-cache.a", "value": "1"}, {"label": "registry-cache.b", "value": "2"}],
    "hosts": [{"host": "upstream", "ip": "203.0.113.1"}],
    "ulimits": [{"name": "nofile", "soft": 1024, "hard": 2048}],
    "stop_timeout": 3,
    "destroy_grace_seconds": 3,
    "init": True,
    "wait": True,
    "wait_timeout": 60,
}

Stages = Callable[[str], Stage]


@pytest.fixture
def stages(lab: Lab, pulumi_project: Callable[..., Project]) -> Iterator[Stages]:
    """Makes stages on hosts of the lab; what they leave on the hosts is removed."""
    made: list[Stage] = []

    def make(host: str) -> Stage:
        stage = Stage(pulumi_project(PROGRAM), lab.host(host), f"plugin-test-{len(made)}")
        made.append(stage)
        return stage

    yield make
    for stage in made:
        stage.clear()


@pytest.fixture
def stage(stages: Stages) -> Stage:
    """A stage on the host with Docker 28.5."""
    return stages("client-1")


@pytest.mark.parametrize("host", ["client-1", "client-2"])
def test_a_container_like_the_registrys_serves_settles_and_leaves_nothing(stages: Stages, host: str) -> None:
    stage = stages(host)
    stage.ask(container=REGISTRY_LIKE)

    stage.project.up()

    for address in ("127.0.0.1", "[::1]"):
        assert stage.host.run(f"curl -sSf http://{address}:8443/name").stdout == f"{host}\n"
    found = stage.inspected()
    assert found["State"]["Health"]["Status"] == "healthy", "`wait` waits until it is"
    assert found["Config"]["User"] == "1000:1000"
    assert found["HostConfig"]["ReadonlyRootfs"] is True
    assert found["HostConfig"]["CapDrop"] == ["ALL"]
    assert found["HostConfig"]["RestartPolicy"] == {"Name": "always", "MaximumRetryCount": 0}
    assert found["HostConfig"]["LogConfig"] == {"Type": "json-file", "Config": REGISTRY_LIKE["log_opts"]}
    assert "A=1" in found["Config"]["Env"]
    outputs = stage.project.outputs()
    assert outputs["id"] == found["Id"]
    assert outputs["networks"][0]["networkName"] == "bridge"

    stage.project.up("--expect-no-changes")
    stage.project.refresh("--expect-no-changes")
    stage.project.up("--expect-no-changes")

    stage.project.destroy()
    assert not stage.exists()
    assert not stage.has_image()


def test_restart_policy_and_memory_change_in_place(stage: Stage) -> None:
    stage.ask(container={"memory": 64, "memory_swap": 128})
    stage.project.up()
    before = stage.inspected()
    stage.ask(container={"memory": 96, "memory_swap": 192, "restart": "unless-stopped"})

    assert stage.planned() == "update"
    stage.project.up()

    after = stage.inspected()
    assert (after["Id"], after["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    assert after["HostConfig"]["Memory"] == 96 * 1024 * 1024
    assert after["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    stage.project.up("--expect-no-changes")
    stage.project.refresh("--expect-no-changes")


def test_another_environment_replaces_the_container_after_its_deletion(stage: Stage) -> None:
    stage.ask(container={"envs": ["A=1"], "ports": [{"internal": 80, "external": 8080}]})
    stage.project.up()
    before = stage.inspected()["Id"]
    stage.ask(container={"envs": ["A=2"], "ports": [{"internal": 80, "external": 8080}]})

    assert stage.planned() == "replace"
    stage.project.up()

    after = stage.inspected()
    assert after["Id"] != before, "its name and port were free, so the old one went first"
    assert "A=2" in after["Config"]["Env"]
    assert stage.host.run(f"docker inspect {before}", check=False).code != 0


def test_a_changed_healthcheck_takes_effect_only_where_it_replaces(stage: Stage) -> None:
    def check(interval: str) -> dict[str, Any]:
        return {"healthcheck": {"tests": ["CMD", "true"], "interval": interval}}

    stage.ask(container=check("1m0s"))
    stage.project.up()
    stage.ask(container=check("2m0s"))
    stage.project.up()
    assert stage.inspected()["Config"]["Healthcheck"]["Interval"] == 60 * 10**9, "as upstream"

    stage.ask(container=check("3m0s"), replaceOnChanges=["healthcheck"])
    stage.project.up()

    assert stage.inspected()["Config"]["Healthcheck"]["Interval"] == 180 * 10**9


def test_a_container_that_was_removed_is_made_again(stage: Stage) -> None:
    stage.ask(container={})
    stage.project.up()
    stage.host.run(f"docker rm -f {stage.name}")

    stage.project.refresh()
    assert stage.stored() is None
    stage.project.up()

    assert stage.inspected()["State"]["Running"] is True


def test_a_container_that_was_stopped_is_started_again(stage: Stage) -> None:
    stage.ask(container={})
    stage.project.up()
    before = stage.inspected()["Id"]
    stage.host.run(f"docker stop -t 0 {stage.name}")

    stage.project.refresh()
    assert stage.planned() == "update"
    stage.project.up()

    found = stage.inspected()
    assert (found["Id"], found["State"]["Running"]) == (before, True)
    stage.project.refresh("--expect-no-changes")


def test_a_container_that_cannot_start_stays_in_the_state_and_the_next_up_puts_it_right(stage: Stage) -> None:
    stage.host.run(f"docker pull -q {IMAGE} && docker run -d --name {stage.squatter} -p 8081:80 {IMAGE}")
    stage.ask(container={"ports": [{"internal": 80, "external": 8081}]})

    failed = stage.project.up(check=False)

    assert failed.code != 0
    assert "Unable to start container" in failed.text
    assert "port is already allocated" in failed.text
    assert stage.stored() is not None, "it exists, so the state must know it"
    assert stage.exists()

    stage.host.run(f"docker rm -f {stage.squatter}")
    stage.project.up()
    assert stage.inspected()["State"]["Running"] is True
    stage.project.up("--expect-no-changes")


def test_an_image_that_cannot_be_had_stops_before_anything_is_made(stage: Stage) -> None:
    stage.ask(image="nginx:no-such-tag", container={})

    failed = stage.project.up(check=False)

    assert failed.code != 0
    assert "unable to pull image nginx:no-such-tag" in failed.text
    assert not stage.exists()
    assert not [found for found in stage.project.resources() if found["type"].startswith("docker:")]


def test_a_container_outlives_a_replacement_that_has_no_image(stage: Stage) -> None:
    stage.ask(container={})
    stage.project.up()
    before = stage.inspected()["Id"]
    stage.ask(container={"image": "nginx:no-such-tag"})

    failed = stage.project.up(check=False)

    assert failed.code != 0
    assert "the container stays, for there is no image" in failed.text
    found = stage.inspected()
    assert (found["Id"], found["State"]["Running"]) == (before, True)


def test_a_container_that_exits_at_once_is_shown_with_its_last_lines(stage: Stage) -> None:
    stage.ask(container={"entrypoints": ["/bin/sh", "-c", "echo no such upstream; exit 3"]})

    shown = stage.project.up().text

    assert "container exited immediately with code 3" in shown
    assert "no such upstream" in shown
    assert stage.planned() == "update", "as upstream: the next up starts it again"


def test_a_container_that_does_not_get_healthy_fails_and_stays_in_the_state(stage: Stage) -> None:
    stage.ask(
        container={
            "healthcheck": {"tests": ["CMD", "false"], "interval": "1s"},
            "wait": True,
            "wait_timeout": 3,
        }
    )

    failed = stage.project.up(check=False)

    assert failed.code != 0
    assert "the container was not healthy within 3 s" in failed.text
    assert stage.stored() is not None
    assert stage.exists()
    stage.project.destroy()
    assert not stage.exists()


def test_ctrl_c_while_it_waits_leaves_the_container_and_the_state(stage: Stage) -> None:
    unhealthy = {
        "healthcheck": {"tests": ["CMD", "false"], "interval": "1s"},
        "wait": True,
        "wait_timeout": 120,
    }
    stage.ask(container=unhealthy)
    command = ["pulumi", "--non-interactive", "up", "--yes", "--skip-preview"]
    project = stage.project
    with subprocess.Popen(
        command, cwd=project.directory, env=project.environment, stdout=subprocess.PIPE, text=True
    ) as cli:
        deadline = time.monotonic() + 60
        while not stage.exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        cli.send_signal(signal.SIGINT)
        shown, _ = cli.communicate(timeout=30)

    assert stage.exists(), shown
    assert stage.stored() is not None, shown
    stage.project.destroy()
    assert not stage.exists()


def test_another_host_key_is_refused_and_nothing_is_made(stage: Stage, tmp_path: Path) -> None:
    known_hosts = tmp_path / "known_hosts"
    other = "AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    known_hosts.write_text(f"{stage.host.address} ssh-ed25519 {other}\n")
    options = [
        option if not option.startswith("UserKnownHostsFile=") else f"UserKnownHostsFile={known_hosts}"
        for option in stage.host.ssh_command()[1:-1]
    ]
    stage.ask(container={}, sshOpts=options)

    failed = stage.project.up(check=False)

    assert failed.code != 0
    assert "Host key verification failed" in failed.text
    assert not stage.exists()


def test_the_connection_ends_with_the_run(stage: Stage) -> None:
    stage.ask(container={})
    stage.project.up()

    running = subprocess.run(["pgrep", "-fa", "docker-ssh-"], capture_output=True, text=True).stdout
    assert stage.host.address not in running


def test_a_container_that_is_there_already_can_be_imported(stage: Stage) -> None:
    stage.host.run(f"docker pull -q {IMAGE}")
    made = stage.host.run(
        f"docker run -d --name {stage.name} -p 8090:80 --restart always {IMAGE}"
    ).stdout.strip()
    stage.ask(
        container={
            "image": IMAGE,
            "restart": "always",
            "ports": [{"internal": 80, "external": 8090, "ip": ip} for ip in ("0.0.0.0", "::")],
        },
        **{"import": made},
    )

    stage.project.up()

    assert stage.project.outputs()["id"] == made
    stage.ask(
        container={
            "image": IMAGE,
            "restart": "no",
            "ports": [{"internal": 80, "external": 8090, "ip": ip} for ip in ("0.0.0.0", "::")],
        }
    )
    assert stage.planned() == "update", "it is managed like any other from now on"


def test_a_secret_in_the_environment_reaches_the_container_and_is_shown_nowhere(stage: Stage) -> None:
    stage.ask(container={})
    stage.project.set_secret("test-project:token", "s3cret-t0ken")

    shown = [stage.project.up(), stage.project.refresh(), stage.project.preview()]

    assert "TOKEN=s3cret-t0ken" in stage.inspected()["Config"]["Env"]
    assert "s3cret-t0ken" not in json.dumps(stage.project.export())
    assert not [result.text for result in shown if "s3cret-t0ken" in result.text]


def test_a_container_joins_the_networks_that_it_is_given(stage: Stage) -> None:
    network = f"{stage.name}-network"
    stage.host.run(f"docker network create --subnet 198.51.100.0/24 {network}")
    try:
        joined = {"name": network, "aliases": ["web"], "ipv4_address": "198.51.100.7"}
        stage.ask(container={"networks_advanced": [joined]})
        stage.project.up()

        networks = stage.inspected()["NetworkSettings"]["Networks"]
        assert set(networks) == {network}, "the default network is left"
        assert networks[network]["IPAddress"] == "198.51.100.7"
        assert "web" in networks[network]["Aliases"]
        stage.project.up("--expect-no-changes")
        stage.project.destroy()
    finally:
        stage.host.run(f"docker rm -fv {stage.name}; docker network rm {network}", check=False)


def test_an_image_stays_where_it_is_to_be_kept(stage: Stage) -> None:
    stage.ask(container={}, keep=True)
    stage.project.up()

    stage.project.destroy()

    assert stage.has_image()


def test_an_image_is_pulled_by_its_digest(stage: Stage, lab: Lab) -> None:
    pinned = lab.registry_images["3"]
    stage.ask(image=pinned, container={"entrypoints": ["/bin/sh", "-c", "sleep 600"]})
    stage.project.up()

    [image] = [found for found in stage.project.resources() if "remoteImage" in found["type"]]
    assert image["outputs"]["repoDigest"] == f"registry@{pinned.partition('@')[2]}"
    assert image["outputs"]["imageId"] == stage.inspected()["Image"]
    stage.project.up("--expect-no-changes")
    stage.project.destroy()
    assert not stage.has_image(pinned)
