"""The address of a Docker engine, and the ssh that leads to it."""

from pathlib import Path

import pytest

from offline_plugins.docker_connection import Engine, EngineAddress
from offline_plugins.handler import OperationError

SOCKET = Path("/tmp/x/engine.sock")


@pytest.mark.parametrize(
    "url",
    [
        "ssh://root@203.0.113.10:22",
        "ssh://mirror-1",
        "ssh://root@[2001:db8::1]:2222",
        "unix:///var/run/docker.sock",
        "tcp://127.0.0.1:2375",
    ],
)
def test_addresses_that_docker_knows_are_taken(url: str) -> None:
    assert EngineAddress(url).problem() is None


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("npipe:////./pipe/docker_engine", id="another transport"),
        pytest.param("ssh://", id="no host"),
        pytest.param("ssh://-oProxyCommand=touch", id="an option in place of a host"),
        pytest.param("ssh://root@host:99999", id="no port"),
        pytest.param("ssh://root:s3cret@host", id="a password"),
        pytest.param("ssh://root@host/var/run/docker.sock", id="a path"),
    ],
)
def test_other_addresses_are_refused_when_the_provider_is_configured(url: str) -> None:
    with pytest.raises(OperationError, match="'host' is") as refusal:
        Engine().configure(url, ())

    assert "s3cret" not in str(refusal.value)


def test_ssh_is_told_user_host_and_port_and_forwards_the_engines_socket() -> None:
    command = EngineAddress("ssh://admin@[2001:db8::1]:2222").ssh_command(SOCKET)

    assert command[0] == "ssh"
    assert command[command.index("-l") + 1] == "admin"
    assert command[command.index("-p") + 1] == "2222"
    assert command[command.index("-L") + 1] == "/tmp/x/engine.sock:/var/run/docker.sock"
    assert command[-2:] == ["--", "2001:db8::1"], "nothing in a host's name may be read as an option"


def test_the_providers_ssh_options_go_before_the_defaults_that_they_may_override() -> None:
    options = ("-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=5")
    command = EngineAddress("ssh://mirror-1", options).ssh_command(SOCKET)

    assert command.index("ConnectTimeout=5") < command.index("ConnectTimeout=30")
    assert "StrictHostKeyChecking=yes" in command


def test_nothing_turns_host_key_verification_off() -> None:
    command = " ".join(EngineAddress("ssh://mirror-1").ssh_command(SOCKET))

    assert "StrictHostKeyChecking" not in command
    assert "UserKnownHostsFile" not in command


def test_the_tunnel_is_a_connection_of_its_own_that_asks_nobody() -> None:
    options = ("-o", "ControlMaster=auto", "-o", "ControlPath=/tmp/c", "-o", "BatchMode=no")
    command = EngineAddress("ssh://mirror-1", options).ssh_command(SOCKET)

    for own, theirs in (
        ("ControlMaster=no", "ControlMaster=auto"),
        ("ControlPath=none", "ControlPath=/tmp/c"),
        ("BatchMode=yes", "BatchMode=no"),
    ):
        assert command.index(own) < command.index(theirs), "ssh takes the first value of an option"
