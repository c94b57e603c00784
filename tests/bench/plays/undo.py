"""Takes the job back with pyinfra; Docker and the cached data stay."""

import io
import json
from pathlib import Path
from typing import Any

from pyinfra import host  # type: ignore[import-not-found]
from pyinfra.facts.server import Command  # type: ignore[import-not-found]
from pyinfra.operations import files, server, systemd  # type: ignore[import-not-found]

job: dict[str, Any] = json.loads((Path(__file__).parent / "variables.json").read_text())
DAEMON_JSON = "/etc/docker/daemon.json"

before: dict[str, Any] = json.loads(host.get_fact(Command, f"cat {DAEMON_JSON}"))
# The daemon forgets a mirror only by a list without it.
emptied = json.dumps({**before, "registry-mirrors": []}, indent=4)
files.put(src=io.StringIO(emptied + "\n"), dest=DAEMON_JSON, mode="644")
live = "docker info -f '{{json .RegistryConfig.Mirrors}}'"
server.shell(
    commands=[
        "systemctl reload docker",
        f"for n in $(seq 50); do {live} | grep -qF {job['url']} || exit 0; sleep 0.1; done; exit 1",
    ]
)
rest = json.dumps({key: value for key, value in before.items() if key != "registry-mirrors"}, indent=4)
files.put(src=io.StringIO(rest + "\n"), dest=DAEMON_JSON, mode="644")
files.directory(path=f"/etc/docker/certs.d/{job['authority']}", present=False)
files.file(path="/etc/docker/registry-cache-ca.crt", present=False)
if "mirrors" in host.groups:
    server.shell(commands=[f"docker rm -f {job['container']}"])
    systemd.service(service="registry-cache-firewall", running=False, enabled=False)
    files.file(path="/etc/systemd/system/registry-cache-firewall.service", present=False)
    files.directory(path="/etc/registry-cache", present=False)
    files.file(path="/etc/yum.repos.d/docker-ce.repo", present=False)
    systemd.daemon_reload()
