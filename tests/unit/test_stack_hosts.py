"""The hosts of a stack from its files alone, and how they are asked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from components.lib.remote import HostFailed, Remote, Unreachable, ask_all
from components.settings_errors import SettingsError
from components.stack_hosts import SECRET, hosts_of, settings_of, written
from tests.unit.settings_sample import SAMPLE, make_home, read

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_home(tmp_path / "home")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    return directory


def write_stack(project: Path, config: Mapping[str, object], name: str = "office") -> None:
    keys = {f"registry-cache:{key}": value for key, value in config.items()}
    file = {"config": {**keys, "docker:host": "ssh://elsewhere"}, "encryptionsalt": "v1:x"}
    (project / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump(file))


def test_the_hosts_of_a_stack_are_reached_by_its_pinned_host_keys(project: Path, home: Path) -> None:
    write_stack(project, read(SAMPLE))
    hosts = hosts_of("office", project)

    assert [host.name for host in hosts.all] == ["mirror-1", "web-1"]
    assert list(hosts.clients) == ["mirror-1", "web-1"], "a mirror's own Docker is a client too"
    client = hosts.clients["web-1"]
    assert client.destination == "root@203.0.113.21"
    assert "StrictHostKeyChecking=yes" in client.options
    assert any(
        option.startswith("KnownHostsCommand=/bin/echo %H ssh-ed25519 AAAA") for option in client.options
    )
    assert f"IdentityFile={home}/.ssh/id_ed25519" in client.options, "whatever directory it is run from"


def test_mirrors_that_are_no_clients_are_not_listed_as_such(project: Path) -> None:
    write_stack(project, {**read(SAMPLE), "mirrorsAreClients": False})
    assert list(hosts_of("office", project).clients) == ["web-1"]


def test_the_included_file_is_read(project: Path) -> None:
    (project / "hosts.yaml").write_text(SAMPLE)
    write_stack(project, {"include": "hosts.yaml"})
    assert list(hosts_of("office", project).mirrors) == ["mirror-1"]


def test_secrets_stay_encrypted(project: Path) -> None:
    upstream = {"registry": "docker.io", "username": "ann", "password": {"secure": "AAABcipher"}}
    write_stack(project, {**read(SAMPLE), "upstreams": [upstream]})

    settings = settings_of("office", project)

    assert settings.upstreams[0].password is not None
    assert settings.upstreams[0].password.get_secret_value() == SECRET
    assert "cipher" not in repr(settings)


@pytest.mark.parametrize(
    ("shared", "own", "result"),
    [
        ({"cache": {"type": "object", "default": {}}}, {}, {}),
        ({"cache": {"type": "object", "default": {"limit": "1GiB"}}}, {}, {"cache": {"limit": "1GiB"}}),
        ({"p:cache": {"value": {"limit": "1GiB"}}}, {}, {"cache": {"limit": "1GiB"}}),
        ({"observe": "never"}, {}, {"observe": "never"}),
        ({"observe": "never"}, {"p:observe": "always"}, {"observe": "always"}),
        ({}, {"p:access": '{"networks": ["10.0.0.0/8"]}'}, {"access": {"networks": ["10.0.0.0/8"]}}),
        ({}, {"docker:host": "ssh://elsewhere"}, {}),
    ],
    ids=["empty default", "default", "value", "plain", "the stack wins", "JSON as text", "not ours"],
)
def test_project_and_stack_are_put_together_as_pulumi_does(
    shared: dict[str, object], own: dict[str, object], result: dict[str, object]
) -> None:
    assert written({"name": "p", "config": shared}, {"config": own}) == result


def test_a_stack_without_a_file_is_named(project: Path) -> None:
    with pytest.raises(SettingsError, match=r"Pulumi\.nowhere\.yaml does not exist"):
        hosts_of("nowhere", project)


def test_one_host_that_fails_stops_no_other() -> None:
    hosts = [Remote(name, f"root@{name}", [], sudo=False) for name in ("a", "b")]

    def ask(host: Remote) -> str:
        if host.name == "a":
            raise Unreachable("a: no route")
        return "fine"

    answers = ask_all(hosts, ask)

    assert answers["b"] == "fine"
    assert isinstance(answers["a"], HostFailed)


def test_a_host_that_ssh_does_not_reach_is_told_from_a_command_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\n[ "$1" != away ] || { echo "no route to host" >&2; exit 255; }\neval "$2"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    assert Remote("h", "there", [], sudo=False).call(["cat"], "in", 10, "cat") == "in"
    with pytest.raises(HostFailed, match="h: probe failed: broken") as failed:
        Remote("h", "there", [], sudo=False).call(["sh", "-c", "echo broken; exit 3"], "", 10, "probe")
    assert not isinstance(failed.value, Unreachable)
    with pytest.raises(Unreachable, match="h: probe failed: no route to host"):
        Remote("h", "away", [], sudo=False).call(["true"], "", 10, "probe")
    with pytest.raises(Unreachable, match="no answer within 1 s"):
        Remote("h", "there", [], sudo=False).call(["sleep", "30"], "", 1, "probe")
