"""A sudo user, a jump host and an agent: both ways over which SSH is spoken take all three."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab
from tests.lab.program_stage import Stage

MIRROR, CLIENT = "operated", "behind-jump"


@pytest.fixture(scope="module")
def agent(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of an agent of the test's own, with the lab's key in it."""
    socket = tmp_path_factory.mktemp("agent") / "s"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not socket.exists():
            assert time.monotonic() < deadline, "the agent does not start"
            time.sleep(0.05)
        subprocess.run(
            ["ssh-add", "-q", str(lab.private_key_file)], env={"SSH_AUTH_SOCK": str(socket)}, check=True
        )
        yield socket
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def stage(lab: Lab, plugins: Path, tmp_path_factory: pytest.TempPathFactory, agent: Path) -> Iterator[Stage]:
    """A mirror whose login is `operator`, and a client that answers to the jump host alone."""
    lab.renew([MIRROR, CLIENT])
    jump = lab.host("jump")
    stage = Stage.of(lab, tmp_path_factory.mktemp("login") / "clone", plugins, [MIRROR], [CLIENT])
    clients = [{**client, "docker": "install"} for client in stage.settings["clients"]]
    ssh = {
        "agent": True,
        "knownHostsFile": str(lab.known_hosts_file),
        "jumpHost": {"address": jump.address, "hostKey": jump.host_key},
    }
    stage.set(clients=clients, ssh=ssh)
    stage.project.environment["SSH_AUTH_SOCK"] = str(agent)
    try:
        yield stage
    finally:
        stage.project.destroy(check=False)
        for name in (MIRROR, CLIENT, "jump"):
            lab.host(name).stop()


def test_a_sudo_user_behind_a_jump_host_is_logged_in_by_the_agent(stage: Stage) -> None:
    stage.up()

    proofs = stage.project.outputs()["proofs"]
    assert [proof.split()[0] for proof in proofs] == [MIRROR, CLIENT]
    mirror = stage.lab.host(MIRROR)
    assert "docker" in mirror.run("id -nG").stdout.split(), "for Docker's API, which has no sudo"
    assert mirror.run("docker ps --format '{{.Names}}'").stdout == "registry-cache-docker.io\n"
    commands = [r for r in stage.project.resources() if r["type"] == "command:remote:Command"]
    assert commands
    assert not [r["urn"] for r in commands if "privateKey" in r["inputs"]["connection"]], "the agent has it"
    stage.project.preview("--expect-no-changes")


def test_every_connection_went_through_the_jump_host(stage: Stage) -> None:
    jump = stage.lab.host("jump")
    for name in (MIRROR, CLIENT):
        host = stage.lab.host(name)
        log = host.run(
            "sudo journalctl -o cat -u ssh -u sshd --no-pager | grep -o 'Accepted .* from [^ ]*'"
        ).stdout
        ours = [line for line in log.splitlines() if not line.endswith(f" {_gateway(stage)}")]
        assert ours
        assert all(line.endswith(f" {jump.address}") for line in ours), log


def _gateway(stage: Stage) -> str:
    """The address under which the lab's own machine logs in."""
    return str(stage.lab.network.v4[1])


def test_a_key_file_serves_in_place_of_the_agent(stage: Stage) -> None:
    ssh = {**stage.settings["ssh"], "agent": False, "privateKeyFile": str(stage.lab.private_key_file)}
    stage.set(ssh=ssh)
    del stage.project.environment["SSH_AUTH_SOCK"]
    stage.pull_as_proof("docker.io/library/redis:latest")

    stage.up()

    assert len(stage.project.outputs()["proofs"]) == 2
    stage.project.preview("--expect-no-changes")


def test_a_jump_host_that_shows_another_key_is_refused_before_anything_changes(stage: Stage) -> None:
    right = stage.settings["ssh"]
    other = stage.lab.host(MIRROR).host_key
    stage.set(ssh={**right, "waitSeconds": 5, "jumpHost": {**right["jumpHost"], "hostKey": other}})

    refused = stage.up(check=False)
    stage.set(ssh=right)

    assert refused.code != 0
    assert "another host key" in refused.text or "Host key verification failed" in refused.text
    assert stage.lab.host(MIRROR).run("docker ps -q").stdout.strip(), "the cache runs on"


def test_a_destroy_takes_the_sudo_user_out_of_the_group_docker_again(stage: Stage) -> None:
    stage.project.destroy()

    mirror = stage.lab.host(MIRROR)
    assert "docker" not in mirror.run("id -nG").stdout.split()
    assert mirror.run("sudo docker ps -aq").stdout == ""
    assert mirror.run("sudo ls /var/lib/registry-cache", check=False).code != 0
