"""What the program declares, and in which order."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.unit.recording_engine import RecordingEngine, run_program

Run = Callable[..., RecordingEngine]
REMOTE = "command:remote:Command"
LOCAL = "command:local:Command"
CONTAINER = "docker:index/container:Container"


def host(name: str, number: int) -> dict[str, str]:
    key = b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes([number]) * 32
    return {
        "name": name,
        "address": f"203.0.113.{number}",
        "hostKey": f"ssh-ed25519 {base64.b64encode(key).decode()}",
    }


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the program on one mirror and two clients, with a section or two replaced."""
    key = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    configuration = {
        "ssh": {"privateKeyFile": str(key)},
        "mirrors": [host("mirror-1", 10)],
        "clients": [host("web-1", 21), host("web-2", 22)],
        "access": {"networks": ["203.0.113.0/24"]},
    }

    def with_changes(stack_outputs: Mapping[str, Any] | None = None, **changes: Any) -> RecordingEngine:
        return run_program({**configuration, **changes}, stack_outputs)

    return with_changes


def test_a_client_is_configured_only_after_its_mirror_answers(run: Run) -> None:
    """Else a mirror that fails would break a client that works."""
    engine = run()
    for client in ("web-1", "web-2", "mirror-1"):
        assert engine.comes_after(f"{client}-mirror-client", "mirror-1-answers-docker.io")


def test_every_client_is_verified_after_it_is_configured(run: Run) -> None:
    engine = run()
    for client in ("web-1", "web-2", "mirror-1"):
        assert engine.comes_after(f"{client}-proof", f"{client}-mirror-client")


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        ("mirror-1-docker-engine", "mirror-1-wait"),
        ("mirror-1-firewall", "mirror-1-docker-engine"),
        ("mirror-1-certificate", "mirror-1-firewall"),
        ("mirror-1-configuration-docker.io", "mirror-1-certificate"),
        ("mirror-1-docker.io-container", "mirror-1-configuration-docker.io"),
        ("mirror-1-docker.io-container", "mirror-1-image"),
        ("mirror-1-docker.io-container", "mirror-1-firewall"),
        ("mirror-1-answers-docker.io", "mirror-1-docker.io-container"),
        ("mirror-1-collector", "mirror-1-answers-docker.io"),
        ("mirror-1-upstreams", "mirror-1-collector"),
    ],
)
def test_steps_on_a_mirror_run_in_a_chain(run: Run, later: str, earlier: str) -> None:
    assert run().comes_after(later, earlier)


def test_hosts_do_not_wait_for_each_other_before_the_mirror_is_needed(run: Run) -> None:
    engine = run()
    assert not engine.comes_after("mirror-1-docker-engine", "web-1-wait")
    assert not engine.comes_after("web-2-mirror-client", "web-1-mirror-client")


def test_every_ssh_connection_pins_the_host_key(run: Run) -> None:
    engine = run()
    commands = engine.of_type(REMOTE)
    assert commands
    for command in commands:
        connection = command.inputs["connection"]
        connection = connection.get("value", connection)
        assert connection["hostKey"].startswith("ssh-ed25519 "), command.name
    for command in engine.of_type(LOCAL):
        if command.name.endswith("-wait"):
            assert "StrictHostKeyChecking=yes" in command.inputs["stdin"]
    for provider in engine.of_type("pulumi:providers:docker"):
        assert "StrictHostKeyChecking=yes" in provider.inputs["sshOpts"]


def test_no_command_has_triggers_or_an_environment(run: Run) -> None:
    """Triggers delete what was just written; environments are refused by a stock sshd."""
    for command in [*run().of_type(REMOTE), *run().of_type(LOCAL)]:
        assert not {"triggers", "environment"} & set(command.inputs), command.name
        assert command.inputs["addPreviousOutputInEnv"] is False, command.name


def test_the_servers_private_key_travels_only_as_a_secret_on_standard_input(run: Run) -> None:
    engine = run()
    certificate = engine.registered["mirror-1-certificate"]
    assert certificate.type == REMOTE
    assert certificate.is_secret("stdin")
    assert "400 1000:1000" in certificate.inputs["create"]
    for command in engine.of_type(REMOTE):
        assert "PRIVATE KEY" not in str(command.inputs["create"])


def test_the_container_is_hardened(run: Run) -> None:
    container = run().of_type(CONTAINER)[0].inputs
    assert container["user"] == "1000:1000"
    assert container["readOnly"] is True
    assert container["capabilities"] == {"drops": ["ALL"]}
    assert container["securityOpts"] == ["no-new-privileges:true"]
    assert container["restart"] == "always"
    assert container["logOpts"] == {"max-size": "10m", "max-file": "3"}
    assert container["healthcheck"]["tests"][0] == "CMD"


def test_ipv6_is_published_only_where_an_ipv6_network_is_allowed(run: Run) -> None:
    def addresses(engine: RecordingEngine) -> list[str]:
        return [port["ip"] for port in engine.of_type(CONTAINER)[0].inputs["ports"]]

    assert addresses(run()) == ["0.0.0.0"]
    assert addresses(run(access={"networks": ["203.0.113.0/24", "2001:db8::/64"]})) == ["0.0.0.0", "::"]


def test_a_mirror_has_one_cache_for_each_upstream(run: Run) -> None:
    engine = run(upstreams=[{"registry": "docker.io"}, {"registry": "ghcr.io", "port": 5001}])
    published = {c.inputs["name"]: c.inputs["ports"][0]["external"] for c in engine.of_type(CONTAINER)}
    assert published == {"registry-cache-docker.io": 443, "registry-cache-ghcr.io": 5001}


def test_without_tls_no_certificate_is_made_and_clients_use_http(run: Run) -> None:
    engine = run(tls={"mode": "off"})
    assert not [name for name, r in engine.registered.items() if r.type.startswith("tls:")]
    assert "http://203.0.113.10:5000" in engine.registered["web-1-mirror-client"].inputs["create"]


def test_a_certificate_near_its_end_is_asked_for_anew(run: Run) -> None:
    def issue(end: str) -> str:
        outputs = {"certificates": {"mirror-1": {"issue": "0.3", "notAfter": end}}}
        request = run(stack_outputs=outputs).registered["mirror-1-request"]
        return str(request.inputs["subject"]["serialNumber"])

    assert issue("2020-01-01T00:00:00Z") == "0.4"
    assert issue("2999-01-01T00:00:00Z") == "0.3"


def test_another_user_than_root_works_through_sudo_that_never_asks(run: Run) -> None:
    clients = [{**host("web-1", 21), "user": "deploy"}]
    engine = run(clients=clients)
    assert engine.registered["web-1-mirror-client"].inputs["create"].startswith("exec sudo -n bash /")
    assert engine.registered["mirror-1-firewall"].inputs["create"].startswith("exec bash /")


def test_docker_is_installed_on_a_client_only_where_asked_for(run: Run) -> None:
    engine = run(clients=[{**host("web-1", 21), "docker": "install"}, host("web-2", 22)])
    assert "web-1-docker-engine" in engine.registered
    assert "web-2-docker-engine" not in engine.registered
    assert engine.comes_after("web-1-mirror-client", "web-1-docker-engine")


def test_the_mirrors_own_hosts_are_clients_unless_told_otherwise(run: Run) -> None:
    assert "mirror-1-mirror-client" in run().registered
    assert "mirror-1-mirror-client" not in run(mirrorsAreClients=False).registered


def test_the_collector_gets_the_size_policy_of_all_upstreams(run: Run) -> None:
    engine = run(
        cache={"limit": "20GiB", "untagged": "48h"},
        upstreams=[{"registry": "docker.io"}, {"registry": "ghcr.io", "port": 5001, "limit": "5GiB"}],
    )
    step = engine.registered["mirror-1-collector"]
    assert "registry-cache-ghcr.io /data/docker_registry/ghcr.io" in step.inputs["create"]
    told = json.loads(step.text("stdin"))
    assert told["limit"] == 20 * 2**30
    assert told["untagged"] == 48 * 3600
    assert [one["limit"] for one in told["upstreams"]] == [None, 5 * 2**30]
