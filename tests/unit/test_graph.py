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


UPSTREAMS = [
    {"registry": "docker.io"},
    {
        "registry": "ghcr.io",
        "port": 5001,
        "username": "reader",
        "password": "open sesame",  # pragma: allowlist secret
    },
]


def test_images_are_prefetched_after_every_cache_answers_and_before_any_client_is_configured(
    run: Run,
) -> None:
    engine = run(upstreams=UPSTREAMS, prefetch=["ghcr.io/acme/app:1", "docker.io/library/redis"])
    for registry in ("docker.io", "ghcr.io"):
        assert engine.comes_after("mirror-1-prefetch", f"mirror-1-answers-{registry}")
    for client in ("web-1", "web-2", "mirror-1"):
        assert engine.comes_after(f"{client}-mirror-client", "mirror-1-prefetch")
    asked = json.loads(engine.registered["mirror-1-prefetch"].text("stdin"))
    assert [image["name"] for image in asked["images"]] == [
        "ghcr.io/acme/app:1",
        "docker.io/library/redis:latest",
    ]
    assert set(asked["caches"]) == {"docker.io", "ghcr.io"}
    assert asked["required"] is True


def test_the_proofs_image_is_fetched_once_before_many_clients_ask_for_it(run: Run) -> None:
    engine = run(verification={"image": "docker.io/library/alpine:3"})
    asked = json.loads(engine.registered["mirror-1-proof-image"].text("stdin"))
    assert [image["name"] for image in asked["images"]] == ["docker.io/library/alpine:3"]
    assert asked["required"] is False, "why it does not come, the proofs say"
    assert "mirror-1-prefetch" not in engine.registered
    twice = run(verification={"image": "docker.io/library/alpine:3"}, prefetch=["alpine:3"])
    assert "mirror-1-proof-image" not in twice.registered


def test_a_login_is_tried_before_clients_are_configured_and_is_on_standard_input_alone(run: Run) -> None:
    engine = run(upstreams=UPSTREAMS)
    assert engine.comes_after("mirror-1-login-ghcr.io", "mirror-1-answers-ghcr.io")
    assert engine.comes_after("web-1-mirror-client", "mirror-1-login-ghcr.io")
    assert "mirror-1-login-docker.io" not in engine.registered
    holders = [c.name for c in engine.of_type(REMOTE) if "open sesame" in str(c.inputs.get("stdin"))]
    assert "mirror-1-credentials-ghcr.io" in holders
    for resource in engine.registered.values():
        shown = {key: value for key, value in resource.inputs.items() if not resource.is_secret(key)}
        assert "open sesame" not in str(shown), resource.name


def test_an_upstreams_ca_is_mounted_read_only_and_another_one_is_another_container(
    run: Run, tmp_path: Path
) -> None:
    def container(name: str) -> Mapping[str, Any]:
        key = tmp_path / f"{name}.key"
        ca = tmp_path / f"{name}.pem"
        request = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", f"/CN={name}"]
        subprocess.run([*request, "-keyout", str(key), "-out", str(ca)], check=True, capture_output=True)
        upstream = {"registry": "docker.io", "url": "https://hub.example", "caFile": str(ca)}
        engine = run(upstreams=[upstream])
        assert engine.registered["mirror-1-upstream-ca-docker.io"].text("stdin") == ca.read_text()
        return engine.registered["mirror-1-docker.io-container"].inputs

    first, second = container("first"), container("second")

    mounted = next(v for v in first["volumes"] if v["hostPath"].endswith("/docker.io/upstream-ca.pem"))
    assert mounted["readOnly"] is True
    folder = mounted["containerPath"].rpartition("/")[0]
    assert f"SSL_CERT_DIR=/etc/ssl/certs:{folder}" in first["envs"]
    assert first["labels"] != second["labels"]


def test_containerds_image_store_is_told_of_the_caches_of_every_registry(run: Run) -> None:
    command = run(upstreams=UPSTREAMS).registered["web-1-mirror-client"].inputs["create"]
    for line in ("==== docker.io", "==== ghcr.io", '[host."https://203.0.113.10:5001"]'):
        assert line in command


def test_a_container_made_by_hand_is_stopped_only_when_all_is_ready_for_the_cache(run: Run) -> None:
    """The place is empty between the stop and the start: whatever takes time has to be done before."""
    replaces = [{"container": "registry-cache", "directory": "/data/docker_registry"}]
    engine = run(mirrors=[{**host("mirror-1", 10), "replaces": replaces}])

    for earlier in (
        "image",
        "configuration-docker.io",
        "credentials-docker.io",
        "docker.io-container",
        "firewall",
    ):
        assert engine.comes_after("mirror-1-replace-docker.io", f"mirror-1-{earlier}")
    assert engine.comes_after("mirror-1-answers-docker.io", "mirror-1-replace-docker.io")
    assert engine.comes_after("web-1-mirror-client", "mirror-1-replace-docker.io")
    container = engine.registered["mirror-1-docker.io-container"].inputs
    assert (container["start"], container["mustRun"]) == (False, False), "the port is still taken then"
    mounts = {volume["containerPath"]: volume["hostPath"] for volume in container["volumes"]}
    assert mounts["/var/lib/registry"] == "/data/docker_registry"


def test_a_cache_that_replaces_nothing_starts_by_itself(run: Run) -> None:
    engine = run()
    assert "start" not in engine.registered["mirror-1-docker.io-container"].inputs
    assert "mirror-1-replace-docker.io" not in engine.registered


def test_the_upstreams_are_asked_on_every_mirror_and_metrics_served_only_where_networks_may_read_them(
    run: Run,
) -> None:
    assert "mirror-1-upstreams" in run().registered
    assert "mirror-1-metrics" not in {r.name for r in run().of_type(REMOTE)}
    engine = run(metrics={"networks": ["203.0.113.7/32"]})
    assert engine.registered["mirror-1-metrics"].type == REMOTE
    assert engine.comes_after("mirror-1-metrics", "mirror-1-firewall")
    assert engine.comes_after("mirror-1-upstreams", "mirror-1-answers-docker.io")
    served = json.loads(engine.registered["mirror-1-metrics"].text("stdin"))
    assert served == {
        "port": 9469,
        "networks": ["203.0.113.7/32"],
        "metrics": "/var/lib/registry-cache/metrics",
        "registries": {"docker.io": "/data/docker_registry/docker.io"},
    }
    assert " 443 203.0.113.7/32=9469" in engine.registered["mirror-1-firewall"].inputs["create"]


def test_an_upstreams_password_reaches_the_prober_as_a_secret_and_by_standard_input_alone(run: Run) -> None:
    password = "made-up-for-this-test"  # pragma: allowlist secret
    engine = run(upstreams=[{"registry": "docker.io", "username": "reader", "password": password}])
    step = engine.registered["mirror-1-upstreams"]
    assert step.is_secret("stdin")
    assert json.loads(step.text("stdin"))["upstreams"][0]["password"] == password
    assert password not in step.inputs["create"]
    assert not run().registered["mirror-1-upstreams"].is_secret("stdin"), "else its changes would not show"


def test_the_prober_goes_the_way_of_the_caches(run: Run) -> None:
    engine = run(proxy={"https": "http://proxy.example:3128", "noProxy": ["10.0.0.0/8"]}, tls={"mode": "off"})
    asked = json.loads(engine.registered["mirror-1-upstreams"].text("stdin"))
    assert asked["proxy"] == {"http": None, "https": "http://proxy.example:3128", "no_proxy": ["10.0.0.0/8"]}
    assert asked["certificate"] is None
    assert asked["upstreams"][0]["url"] == "https://registry-1.docker.io"


def test_a_changed_program_on_the_mirror_is_a_changed_step(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from components import host as host_module

    def commands(engine: RecordingEngine) -> dict[str, str]:
        return {r.name: str(r.inputs["create"]) for r in engine.of_type(REMOTE)}

    metrics = {"networks": ["203.0.113.7/32"]}
    before = commands(run(metrics=metrics))
    texts = host_module.package_texts
    changed = {"exporter/__init__.py": "another text\n"}
    monkeypatch.setattr(
        host_module, "package_texts", lambda name: {**texts(name), **(changed if name == "exporter" else {})}
    )
    host_module._digest.cache_clear()
    after = commands(run(metrics=metrics))
    host_module._digest.cache_clear()
    different = {name for name in before if before[name] != after[name]}
    assert different == {"mirror-1-scripts", "mirror-1-metrics"}


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
