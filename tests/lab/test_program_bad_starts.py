"""An `up` that cannot go on: it says on which host, at which step and why, and breaks nothing that works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab
from tests.lab.program_stage import (
    Stage,
    differences,
    entry,
    files_of,
    live_mirrors,
    process_of,
    run_container,
)

DAEMON_JSON = "/etc/docker/daemon.json"
RECORDS = "/var/lib/registry-cache"
NOBODY = 150
"""The last part of an address that no host of a lab has."""
OWN_MIRRORS = (
    "mkdir -p /etc/systemd/system/docker.service.d; "
    "start=$(systemctl cat docker | sed -n 's/^ExecStart=//p' | tail -n 1); "
    "printf '[Service]\\nExecStart=\\nExecStart=%s --registry-mirror https://hub.other.example\\n' "
    '"$start" >/etc/systemd/system/docker.service.d/mirror.conf; '
    "systemctl daemon-reload; systemctl restart docker"
)


@pytest.fixture(scope="module")
def blank(lab: Lab) -> Lab:
    """A lab whose mirror-1 and client-1 are as new."""
    lab.renew(["mirror-1", "client-1"])
    lab.up(["mirror-1", "client-1", "client-2"])
    return lab


@pytest.fixture
def stage(blank: Lab, plugins: Path, tmp_path: Path) -> Iterator[Stage]:
    """A stack that is not up; at the end whatever came of it is destroyed."""
    made = Stage.of(blank, tmp_path / "clone", plugins, ["mirror-1"], ["client-1"])
    yield made
    made.project.destroy(check=False)


@pytest.fixture
def deploy(blank: Lab) -> Iterator[str]:
    """A user of client-2 who may log in, and whose sudo wants a password."""
    host = blank.host("client-2")
    host.run(
        "id deploy 2>/dev/null || useradd -m deploy; mkdir -p /home/deploy/.ssh; "
        "cp /root/.ssh/authorized_keys /home/deploy/.ssh/; chown -R deploy: /home/deploy/.ssh; "
        "echo 'deploy ALL=(ALL) ALL' >/etc/sudoers.d/deploy"
    )
    yield "deploy"
    host.run("userdel -r deploy; rm /etc/sudoers.d/deploy")


def test_each_host_that_does_not_let_us_in_is_told_with_its_reason_and_nothing_is_touched(
    stage: Stage, deploy: str
) -> None:
    lab = stage.lab
    mirror, refusing, asking = (entry(lab, name) for name in ("mirror-1", "client-1", "client-2"))
    nowhere = lab.network.address4(NOBODY)
    another_key = asking["hostKey"]
    names = ("mirror-1", "client-1", "client-2")
    before = {name: files_of(lab.host(name), ["/etc", RECORDS]) for name in names}
    stage.set(
        ssh={**stage.settings["ssh"], "waitSeconds": 3, "knownHostsFile": None},
        mirrors=[{**mirror, "hostKey": another_key}],
        clients=[
            {**refusing, "user": "ghost"},
            {**asking, "user": deploy},
            {"name": "gone", "address": nowhere, "hostKey": another_key},
        ],
    )

    failed = stage.project.up("--continue-on-error", check=False)

    assert failed.code != 0
    told = failed.text
    assert f"mirror-1 ({mirror['address']}, port 22): the host shows another host key than" in told
    assert f"client-1 ({refusing['address']}, port 22): the host refuses the login of ghost." in told
    assert (
        f"client-2 ({asking['address']}, port 22): deploy may log in, but sudo asks for a password." in told
    )
    assert f"gone ({nowhere}, port 22): no answer over SSH within 3 s" in told
    for name, files in before.items():
        assert differences(files, files_of(lab.host(name), ["/etc", RECORDS])) == {}


def test_a_cache_that_cannot_start_leaves_the_clients_as_they_are(stage: Stage) -> None:
    mirror, client = stage.lab.host("mirror-1"), stage.lab.host("client-1")
    before = files_of(client, ["/etc"])
    squatter = "python3 -m http.server 443 --bind 0.0.0.0"
    mirror.run(f"systemd-run --unit squatter {squatter}")
    try:
        failed = stage.up(check=False)
    finally:
        mirror.run("systemctl stop squatter")

    assert failed.code != 0
    assert "443" in failed.text
    assert "address already in use" in failed.text
    assert differences(before, files_of(client, ["/etc"])) == {}
    assert live_mirrors(client) == []

    stage.up()

    assert len(stage.project.outputs()["proofs"]) == 2, "what failed is made good by the next up"


def test_an_unreadable_daemon_json_is_told_by_line_and_column_and_that_host_is_left_alone(
    stage: Stage,
) -> None:
    client = stage.lab.host("client-1")
    running = run_container(client, "somebodys")
    before = files_of(client)
    client.run(f"mkdir -p /etc/docker && cat >{DAEMON_JSON}", '{\n  "debug": true,\n}\n')
    broken = files_of(client, ["/etc"])
    try:
        failed = stage.up(check=False)
        left = differences(broken, files_of(client, ["/etc"]))
    finally:
        client.run(f"rm {DAEMON_JSON}; rmdir --ignore-fail-on-non-empty /etc/docker")

    assert failed.code != 0
    assert f"{DAEMON_JSON}: line 3, column 1: expected a name in double quotes" in failed.text
    assert "client-1-mirror-client" in failed.text, "the step, which names the host"
    assert left == {}
    assert live_mirrors(client) == []
    stage.project.destroy()
    assert differences(before, files_of(client)) == {}
    assert process_of(client, "somebodys") == running


def test_a_docker_with_mirrors_on_its_command_line_is_not_given_a_file_that_it_would_not_start_with(
    stage: Stage,
) -> None:
    client = stage.lab.host("client-1")
    client.run(OWN_MIRRORS)
    try:
        failed = stage.up(check=False)
        assert failed.code != 0
        assert "Docker has --registry-mirror on its command line here" in failed.text
        client.run(f"test ! -e {DAEMON_JSON}")
        client.run("systemctl restart docker")
    finally:
        client.run(
            "rm -r /etc/systemd/system/docker.service.d; systemctl daemon-reload; systemctl restart docker"
        )
