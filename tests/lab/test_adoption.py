"""Mirrors set up by the usual guides' commands: inspected, taken over while a client pulls, given back."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import Lab
from lab.machine import LabHost
from tests.lab.mirror_watch import status_of
from tests.lab.program_stage import Stage, differences, files_of, live_mirrors
from tests.pulumi_project import STACK

CLIENT = "client-1"
FEW_SECONDS = 8.0
"""For a machine on which much else runs; it is two to three seconds on one that has nothing else to do."""
LOOKED_AT = ("/etc", "/data", "/certs", "/root", "/var/lib/registry-cache", "/var/tmp")
ADMIN_PATH = "PATH=$PATH:/usr/sbin:/sbin; "

# What guides say, command for command.
RUN = (
    "docker run -d --restart=always --name {name} -p 5000:5000 -v {data}:/var/lib/registry"
    " -e REGISTRY_PROXY_REMOTEURL=https://registry-1.docker.io"
    " -e REGISTRY_STORAGE_FILESYSTEM_MAXSIZE=10737418240"
)
RUN_TLS = (
    " -v /certs:/certs -e REGISTRY_HTTP_TLS_CERTIFICATE=/certs/domain.crt"
    " -e REGISTRY_HTTP_TLS_KEY=/certs/domain.key"
)
CERTIFICATE = (
    "mkdir -p /certs && openssl req -newkey rsa:4096 -nodes -sha256 -keyout /certs/domain.key -x509 -days 365"
    " -out /certs/domain.crt -subj /CN={address}"
)
FIREWALLD = (
    "firewall-cmd --add-port=5000/tcp --permanent && firewall-cmd --reload && systemctl restart docker"
)
IPTABLES = ADMIN_PATH + "iptables -A INPUT -p tcp --dport 5000 -j ACCEPT && service iptables save"
DAEMON_JSON = "mkdir -p /etc/docker; echo '{text}' > /etc/docker/daemon.json; systemctl restart docker"

_GAPS = """
import select, ssl, sys, time, urllib.request
context = ssl._create_unverified_context()
last, longest, answers = time.monotonic(), 0.0, 0
while not select.select([sys.stdin], [], [], 0.02)[0]:
    try:
        urllib.request.urlopen(sys.argv[1] + "/v2/", timeout=10, context=context).read()
    except OSError:
        continue
    now = time.monotonic()
    longest, last, answers = max(longest, now - last), now, answers + 1
print(longest, answers)
"""
_PULLS = """
while [ ! -e /tmp/enough ]; do
  docker rmi -f nginx:latest >/dev/null 2>&1
  if docker pull -q nginx:latest >/tmp/said 2>&1; then echo pulled; else echo "failed: $(cat /tmp/said)"; fi
done
"""


@dataclass(frozen=True)
class Guide:
    """A guide's way: the host, its firewall's command, and how the mirror and its clients were told."""

    host: str
    container: str
    data: str
    firewall: str
    tls: str = ""
    """`` for plain http, ``plain`` for a certificate as in most guides, ``san`` for one that Docker takes."""

    disk: str = ""
    """Where the data is, if `data` is a link to it."""

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"


GUIDES = {
    "firewalld, http": Guide("client-3", "registry-cache", "/data/docker_registry", FIREWALLD),
    "firewalld, https": Guide("client-3", "registry", "/data/registry", FIREWALLD, tls="san"),
    "iptables, http": Guide("client-2", "registry", "/data/registry", IPTABLES, disk="/srv/large/registry"),
    "iptables, https without SAN": Guide(
        "client-2", "registry-mirror", "/data/docker_registry", IPTABLES, tls="plain"
    ),
}


@dataclass
class ByHand:
    """A mirror that followed a guide, its client, and what they were like before the takeover."""

    guide: Guide
    stage: Stage
    mirror: LabHost
    client: LabHost
    daemon_json: bytes = b""
    container: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"{self.guide.scheme}://{self.mirror.address}:5000"

    def follow(self) -> None:
        """Do what the guide says on both hosts, and fill the cache."""
        guide, address = self.guide, self.mirror.address
        run = RUN.format(name=guide.container, data=guide.data)
        if guide.tls:
            extra = f" -addext subjectAltName=IP:{address}" if guide.tls == "san" else ""
            self.mirror.run(CERTIFICATE.format(address=address) + extra)
            run += RUN_TLS
        self.mirror.run(guide.firewall)
        if guide.disk:
            self.mirror.run(f"mkdir -p /data {guide.disk} && ln -s {guide.disk} {guide.data}")
        self.mirror.run(f"mkdir -p {guide.data} && {run} registry:2")
        told: dict[str, list[str]] = {"registry-mirrors": [self.url]}
        if guide.tls == "san":
            place = f"/etc/docker/certs.d/{address}:5000"
            self.client.run(
                f"mkdir -p {place} && cat > {place}/ca.crt", stdin=self.mirror.read("/certs/domain.crt")
            )
        else:
            told["insecure-registries"] = [f"{address}:5000"]
        self.client.run(DAEMON_JSON.format(text=json.dumps(told)))
        assert status_of(self.client, f"{self.url}/v2/") == "200"
        self.client.run("docker pull -q nginx:latest && docker pull -q alpine:latest")
        self.daemon_json = self.client.read("/etc/docker/daemon.json")
        self.container = inspect(self.mirror, guide.container)

    def adopt(self) -> str:
        """`make adopt`: gives what it printed, and makes the stack what it proposed."""
        directory = self.stage.project.directory
        own = directory / f"Pulumi.{STACK}.yaml"
        done = subprocess.run(
            [sys.executable, "-m", "components.adoption", STACK, "--out", "adopted.yaml"],
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (directory / "adopted.yaml").replace(own)
        for line in done.stdout.splitlines():
            if line.startswith("- (umask "):
                subprocess.run(["bash", "-c", line.removeprefix("- ")], cwd=directory, check=True)
        config = yaml.safe_load(own.read_text())["config"]
        self.stage.settings.clear()
        self.stage.settings.update({key.partition(":")[2]: value for key, value in config.items()})
        return done.stdout

    def served_certificate(self) -> list[str]:
        """The lines of the certificate that the mirror shows."""
        show = f"openssl s_client -connect {self.mirror.address}:5000 </dev/null 2>/dev/null | openssl x509"
        return self.client.run(show).stdout.split()

    def assert_serves_from_its_data(self) -> None:
        """A pull of what was cached by the old container asks Docker Hub for nothing."""
        self.stage.lab.upstream.forget()
        self.client.run("docker rmi -f alpine:latest && docker pull -q alpine:latest")
        asking = {host: blobs_asked_for(self.stage.lab, host) for host in (self.mirror.name, CLIENT)}
        assert asking == {self.mirror.name: 0, CLIENT: 0}


def inspect(host: LabHost, container: str) -> dict[str, Any]:
    found = json.loads(host.run(f"docker inspect {container}").stdout)
    return dict(found[0])


def blobs_asked_for(lab: Lab, client: str) -> int:
    """How many blobs of the images that were cached a host fetched from Docker Hub."""
    cached = ("/v2/library/nginx/blobs/", "/v2/library/alpine/blobs/")
    asked = lab.upstream.requests().items()
    return sum(
        count for request, count in asked if request.client == client and request.path.startswith(cached)
    )


@dataclass
class Busy:
    """What a client saw: its pulls, one line each, and the longest time without an answer from the mirror."""

    pulls: list[str] = field(default_factory=list)
    gap: float = -1.0
    answers: int = 0


@contextmanager
def busy(client: LabHost, url: str) -> Iterator[Busy]:
    """Has a client pull all the while, and another eye on the mirror."""
    seen = Busy()
    client.run("rm -f /tmp/enough")
    ssh = client.ssh_command()
    puller = subprocess.Popen([*ssh, _PULLS], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    watcher = subprocess.Popen(
        [*ssh, f"python3 -c '{_GAPS}' {url}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield seen
    finally:
        answer, _ = watcher.communicate("enough\n", timeout=60)
        client.run("touch /tmp/enough")
        pulled, _ = puller.communicate(timeout=120)
    seen.gap, seen.answers = float(answer.split()[0]), int(answer.split()[1])
    seen.pulls = pulled.splitlines()


@pytest.fixture(params=list(GUIDES))
def by_hand(request: pytest.FixtureRequest, lab: Lab, plugins: Path, tmp_path: Path) -> Iterator[ByHand]:
    guide = GUIDES[request.param]
    lab.renew([guide.host, CLIENT])
    yield from stand(lab, plugins, tmp_path, guide)


def stand(lab: Lab, plugins: Path, directory: Path, guide: Guide) -> Iterator[ByHand]:
    stage = Stage.of(lab, directory / "clone", plugins, [guide.host], [CLIENT])
    # A person who begins has no more than their hosts.
    del stage.settings["access"]
    stage.set()
    by_hand = ByHand(guide, stage, lab.host(guide.host), lab.host(CLIENT))
    by_hand.follow()
    try:
        yield by_hand
    finally:
        stage.project.destroy(check=False)
        lab.drop([guide.host])


EXPECTED = {
    "firewalld, http": [
        "REGISTRY_STORAGE_FILESYSTEM_MAXSIZE does nothing",
        "port 5000 is open to all",
        "firewalld opens 5000/tcp in zone public, which neither opens nor limits",
        "plain http",
    ],
    "firewalld, https": ["port 5000 is open to all", "firewalld opens 5000/tcp in zone public"],
    "iptables, http": [
        "iptables has -A INPUT -p tcp -m tcp --dport 5000 -j ACCEPT, which neither",
        "plain http",
    ],
    "iptables, https without SAN": ["has no subject alternative name", "port 5000 is open to all"],
}
ALWAYS = ["storage.delete.enabled is not set", "registry 2 has had no updates", "it runs as root"]


def test_a_mirror_made_by_hand_is_taken_over_and_given_back(
    by_hand: ByHand, lab: Lab, request: pytest.FixtureRequest, record_property: Any
) -> None:
    guide, stage, mirror, client = by_hand.guide, by_hand.stage, by_hand.mirror, by_hand.client
    name = request.node.callspec.id
    before = files_of(mirror, LOOKED_AT)

    report = " ".join(by_hand.adopt().split())

    for finding in (*EXPECTED[name], *ALWAYS):
        assert finding in report
    assert "Checked: it loads as it stands" in report
    changed = differences(before, files_of(mirror, LOOKED_AT))
    # The registry that was made by hand writes that by itself, every few seconds.
    changed.pop(f"{guide.data}/scheduler-state.json", None)
    assert changed == {}, "reads only"
    assert inspect(mirror, guide.container)["State"] == by_hand.container["State"]

    preview = stage.project.preview("--show-full-output").text
    assert f"apply {guide.container} registry-cache-docker.io {guide.data} {by_hand.url} " in preview
    assert inspect(mirror, guide.container)["State"] == by_hand.container["State"]

    lab.upstream.forget()
    with busy(client, by_hand.url) as seen:
        said = re.search(r"after (\d+\.\d+) s without either", stage.up().text)

    assert said is not None
    record_property("gap", seen.gap)
    # Shown by -rP.
    print(f"{name}: {seen.gap:.2f} s without an answer ({said[1]} s on the host), {len(seen.pulls)} pulls")
    assert 0 < float(said[1]) <= FEW_SECONDS
    assert seen.answers > 50
    assert 0 < seen.gap <= FEW_SECONDS
    assert len(seen.pulls) > 3
    assert set(seen.pulls) == {"pulled"}, "no pull failed"
    assert blobs_asked_for(lab, guide.host) == 0, "what was cached is not fetched again"
    assert "0 fetched from the upstream" in stage.project.outputs()["proofs"][-1]

    old, new = inspect(mirror, guide.container), inspect(mirror, "registry-cache-docker.io")
    assert (old["State"]["Running"], new["State"]["Running"]) == (False, True)
    assert old["Id"] == by_hand.container["Id"]
    assert old["HostConfig"]["RestartPolicy"]["Name"] == "no", "Docker must not start both at its next start"
    assert mirror.run(f"stat -c %u:%g {guide.data}/docker").stdout.strip() == "1000:1000"
    assert live_mirrors(client) == [by_hand.url], "the address is as before, and there once"
    assert client.read("/etc/docker/daemon.json") == by_hand.daemon_json
    by_hand.assert_serves_from_its_data()
    mirror.run("systemctl start registry-cache-collect-now")
    if guide.tls == "san":
        assert by_hand.served_certificate() == mirror.read("/certs/domain.crt").decode().split()
    stage.project.preview("--expect-no-changes")
    stage.project.refresh()
    stage.project.preview("--expect-no-changes")

    stage.project.destroy()

    again = inspect(mirror, guide.container)
    assert again["Id"] == by_hand.container["Id"]
    assert again["State"]["Running"]
    assert again["HostConfig"]["RestartPolicy"]["Name"] == "always"
    assert mirror.run("docker ps -a --format '{{.Names}}'").stdout.split() == [guide.container]
    assert mirror.run(f"stat -Lc %u:%g {guide.data} {guide.data}/docker").stdout.split() == ["0:0", "0:0"]
    assert client.read("/etc/docker/daemon.json") == by_hand.daemon_json
    assert live_mirrors(client) == [by_hand.url]
    by_hand.assert_serves_from_its_data()


def test_a_cache_that_does_not_come_up_gives_the_place_back(lab: Lab, plugins: Path, tmp_path: Path) -> None:
    guide = GUIDES["firewalld, http"]
    lab.renew([guide.host, CLIENT])
    for by_hand in stand(lab, plugins, tmp_path, guide):
        stage, mirror, client = by_hand.stage, by_hand.mirror, by_hand.client
        by_hand.adopt()
        right = stage.settings["registry"]
        archive = tmp_path / "other.tar"
        client.run("docker pull -q redis:latest && docker tag redis:latest registry:3")
        with archive.open("wb") as file:
            subprocess.run([*client.ssh_command(), "docker save registry:3"], stdout=file, check=True)
        stage.set(registry={"image": "registry:3", "archive": str(archive)})

        failed = stage.up(check=False)

        assert failed.code != 0
        assert f"registry-cache-docker.io did not come up in the place of {guide.container}" in failed.text, (
            failed.text
        )
        assert f"{guide.container} serves again" in failed.text
        again = inspect(mirror, guide.container)
        assert again["State"]["Running"]
        assert again["HostConfig"]["RestartPolicy"]["Name"] == "always"
        assert status_of(client, f"{by_hand.url}/v2/") == "200"

        stage.set(registry=right)
        stage.up()

        assert not inspect(mirror, guide.container)["State"]["Running"]
        assert inspect(mirror, "registry-cache-docker.io")["State"]["Running"]
        stage.project.preview("--expect-no-changes")

        # Another version of the cache: ours is replaced, and started by the same step.
        stage.set(registry={"image": lab.registry_images["2"]})
        stage.up()
        assert inspect(mirror, "registry-cache-docker.io")["State"]["Running"]

        # A stack that no longer names it: the cache goes on by itself, the other stays stopped.
        stage.set(mirrors=[{k: v for k, v in stage.settings["mirrors"][0].items() if k != "replaces"}])
        stage.up()
        assert inspect(mirror, "registry-cache-docker.io")["State"]["Running"]
        assert not inspect(mirror, guide.container)["State"]["Running"]
        stage.project.preview("--expect-no-changes")
