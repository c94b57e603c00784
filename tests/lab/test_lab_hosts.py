"""Hosts of the lab behave like machines of one's own: logins, host keys, reboots."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import Lab, LabError

UNTIL_RELOADED = (
    "until docker info -f '{{json .RegistryConfig.Mirrors}}' | grep -q docker.io; do sleep 0.1; done"
)
MIRROR_IS_UPSTREAM = '{"registry-mirrors": ["https://registry-1.docker.io"]}\n'


def test_a_reboot_keeps_files_addresses_and_containers(lab: Lab, guests: Callable[..., None]) -> None:
    guests("client-1")
    host = lab.host("client-1")
    host.run("echo kept >/var/lib/kept")
    host.run("docker rm -f web; docker run -d --name web --restart always -p 8080:80 nginx")
    booted = host.run("stat -c %Y /proc/1").stdout

    host.reboot()

    assert host.run("stat -c %Y /proc/1").stdout != booted, "it booted indeed"
    assert host.read("/var/lib/kept") == b"kept\n"
    assert host.address in host.run("hostname -I").stdout
    answer = lab.host("client-2").run(
        f"curl -fsS --retry-connrefused --retry 20 --retry-delay 1 http://{host.address}:8080/"
    )
    assert "hello from nginx" in answer.stdout
    host.run("docker rm -f web")


def test_another_host_key_than_the_pinned_one_is_refused(lab: Lab, tmp_path: Path) -> None:
    host = lab.host("client-1")
    other_key = lab.host("client-2").host_key
    wrong = tmp_path / "known_hosts"
    wrong.write_text(f"{host.address} {other_key}\n")

    with pytest.raises(LabError, match=r"Host key verification failed|HOST IDENTIFICATION HAS CHANGED"):
        dataclasses.replace(host, known_hosts_file=wrong).run("true")

    shown = subprocess.run(
        ["ssh-keyscan", "-t", "ed25519", host.address], capture_output=True, text=True, check=True
    )
    assert host.host_key in shown.stdout, "and the pinned one is what the host shows"


def test_the_sudo_user_gets_in_and_root_does_not(lab: Lab, guests: Callable[..., None]) -> None:
    guests("operated")
    host = lab.host("operated")
    as_root = dataclasses.replace(host, spec=dataclasses.replace(host.spec, user="root"))

    assert host.run("id -un").stdout == "operator\n"
    assert host.run("sudo -n id -un").stdout == "root\n"
    with pytest.raises(LabError, match="Permission denied"):
        as_root.run("true")


def test_a_host_behind_a_jump_host_refuses_all_other_ways(lab: Lab, guests: Callable[..., None]) -> None:
    guests("behind-jump")
    host = lab.host("behind-jump")

    assert host.run("hostname").stdout == "behind-jump\n"
    with pytest.raises(LabError, match="Permission denied"):
        dataclasses.replace(host, jump=None).run("true")


def test_a_light_host_pulls_through_its_mirror_and_nowhere_else(
    lab: Lab, guests: Callable[..., None]
) -> None:
    guests("light-1")
    host = lab.host("light-1")
    lab.upstream.forget()

    past_it = host.run("docker pull -q nginx", check=False)
    assert past_it.code != 0, "there is no fallback that could hide a mirror that is not used"
    # The upstream itself stands in for a mirror here: it speaks the same protocol.
    host.run("mkdir -p /etc/docker && cat >/etc/docker/daemon.json", MIRROR_IS_UPSTREAM)
    host.run("systemctl reload docker")
    host.run(UNTIL_RELOADED)
    host.run("docker pull -q nginx")

    assert {request.client for request in lab.upstream.requests()} == {"light-1"}
