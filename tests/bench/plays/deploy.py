"""The job as a pyinfra deploy."""

import io
import json
from pathlib import Path
from typing import Any

from pyinfra import host  # type: ignore[import-not-found]
from pyinfra.facts.server import Command  # type: ignore[import-not-found]
from pyinfra.operations import dnf, files, server, systemd  # type: ignore[import-not-found]

HERE = Path(__file__).parent
job: dict[str, Any] = json.loads((HERE / "variables.json").read_text())
CA = "/etc/docker/registry-cache-ca.crt"


def put(name: str, path: str, mode: str = "644", owner: str = "root") -> Any:
    """Keeps one file of the job's directory."""
    return files.put(src=str(HERE / name), dest=path, mode=mode, user=owner, group=owner)


def mirror() -> None:
    """Docker, the access rules, and the registry."""
    put("docker-ce.repo", "/etc/yum.repos.d/docker-ce.repo")
    dnf.packages(packages=["docker-ce", "docker-ce-cli", "containerd.io"])
    systemd.service(service="docker", running=True, enabled=True)
    files.directory(path=job["data"], user="1000", group="1000")
    rules = put("firewall.nft", "/etc/registry-cache/firewall.nft", "600")
    unit = put("registry-cache-firewall.service", "/etc/systemd/system/registry-cache-firewall.service")
    systemd.daemon_reload(_if=unit.did_change)
    server.shell(commands=["nft -f /etc/registry-cache/firewall.nft"], _if=rules.did_change)
    systemd.service(service="registry-cache-firewall", running=True, enabled=True)
    folder = "/etc/registry-cache/docker.io"
    put("server.pem", "/etc/registry-cache/tls/server.pem", "400", "1000")
    put("config.yml", f"{folder}/config.yml", "400", "1000")
    put("credentials", f"{folder}/credentials", "500", "1000")
    put("environment", f"{folder}/environment", "400", "1000")
    label = '{{index .Config.Labels "bench.digest"}}'
    present = host.get_fact(
        Command,
        f"docker image inspect -f present {job['registry']} 2>/dev/null; "
        f"docker inspect -f '{label}' {job['container']} 2>/dev/null; true",
    )
    lines = (present or "").splitlines()
    if "present" not in lines:
        server.shell(commands=[f"docker pull -q {job['registry']}"])
    put("ca.crt", "/etc/registry-cache/ca.crt")
    if job["digest"] not in lines:
        inputs = [job["container"], job["digest"], job["registry"], job["data"], f"{folder}/environment"]
        server.script(src=str(HERE / "run_registry.sh"), args=inputs)
        server.script(src=str(HERE / "answers.sh"), args=[job["url"], "/etc/registry-cache/ca.crt"])


def client() -> Any:
    """The CA, and daemon.json with the mirror in it; then a pull."""
    put("ca.crt", f"/etc/docker/certs.d/{job['authority']}/ca.crt")
    put("ca.crt", CA)
    before = host.get_fact(Command, "cat /etc/docker/daemon.json 2>/dev/null || echo '{}'")
    merged = {**json.loads(before), "registry-mirrors": [job["url"]]}
    text = io.StringIO(json.dumps(merged, indent=4) + "\n")
    written = files.put(src=text, dest="/etc/docker/daemon.json", mode="644")
    live = "docker info -f '{{json .RegistryConfig.Mirrors}}'"
    server.shell(
        commands=[
            "systemctl reload docker",
            f"for n in $(seq 50); do {live} | grep -qF {job['url']} && exit; sleep 0.1; done; exit 1",
        ],
        _if=written.did_change,
    )
    server.script(src=str(HERE / "pull.sh"), args=[job["url"], CA, job["image"]], _if=written.did_change)
    return written


if "mirrors" in host.groups:
    mirror()
client_written = client()
if "mirrors" in host.groups:
    expected = [job["container"], job["repository"], str(job["clients"])]
    server.script(src=str(HERE / "evidence.sh"), args=expected, _if=client_written.did_change)
