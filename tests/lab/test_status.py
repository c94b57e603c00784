"""`make status` on real hosts: what it says after pulls, and of what is broken."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import Lab
from lab.machine import LabHost
from tests.chromium import DESKTOP, PHONE, opened, seen
from tests.lab.program_stage import HUB, Stage, differences, files_of

SECONDS = 240
"""How long the collector and the prober may take to have seen something, on a busy machine."""

CONTAINERD = '{"features": {"containerd-snapshotter": true}}\n'


@dataclass(frozen=True)
class Told:
    """What one run of `make status` came to."""

    code: int
    document: dict[str, Any]

    def client(self, name: str) -> dict[str, Any]:
        """One client."""
        return next(dict(client) for client in self.document["clients"] if client["name"] == name)

    @property
    def cache(self) -> dict[str, Any]:
        """The cache of docker.io."""
        return dict(self.document["mirrors"][0]["caches"][0])

    def findings(self, level: str) -> list[tuple[str, str]]:
        """Host and cell of the findings of one level."""
        return [(one["host"], one["cell"]) for one in self.document["findings"] if one["level"] == level]


def run_status(stage: Stage, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`make status` without make, which has exit codes of its own."""
    command = [sys.executable, "-m", "components.status", "test", *arguments]
    return subprocess.run(
        command, cwd=stage.project.directory, capture_output=True, text=True, timeout=180, check=False
    )


def status(stage: Stage) -> Told:
    """The status as JSON."""
    done = run_status(stage, "--json")
    assert done.stdout, done.stderr
    return Told(done.returncode, json.loads(done.stdout))


def status_when(stage: Stage, condition: Callable[[Told], bool]) -> Told:
    """The status as soon as it meets a condition."""
    deadline = time.monotonic() + SECONDS
    while True:
        told = status(stage)
        if condition(told):
            return told
        assert time.monotonic() < deadline, json.dumps(told.document, indent=1)


@pytest.fixture(scope="module")
def standing(lab: Lab, plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stack that is up. client-3 has Docker's containerd image store."""
    lab.renew(["mirror-1", "client-1", "client-2", "client-3"])
    lab.upstream.start()
    third = lab.host("client-3")
    third.run("mkdir -p /etc/docker; cat >/etc/docker/daemon.json; systemctl restart docker", CONTAINERD)
    directory = tmp_path_factory.mktemp("status") / "clone"
    clients = ["client-1", "client-2", "client-3"]
    stage = Stage.of(lab, directory, plugins, ["mirror-1"], clients, mirrorsAreClients=False)
    # By name, which has addresses of both kinds.
    stage.set(mirrors=[{**stage.settings["mirrors"][0], "hostname": lab.host("mirror-1").dns_name}])
    try:
        stage.up()
        yield stage
    finally:
        stage.project.destroy(check=False)
        lab.drop(["client-3"])


@contextmanager
def closed_to(mirror: LabHost, client: LabHost) -> Iterator[None]:
    """A firewall on the client refuses its way to the mirror's port."""
    rules = [
        "type filter hook output priority filter",
        f"ip daddr {mirror.address} tcp dport 443 reject with tcp reset",
        f"ip6 daddr {mirror.address6} tcp dport 443 reject with tcp reset",
    ]
    client.run("nft -f -", "table inet somebodys {\nchain out {\n" + "\n".join(rules) + "\n}\n}\n")
    try:
        yield
    finally:
        client.run("nft delete table inet somebodys")


def test_after_an_up_all_is_well_and_each_client_was_seen_by_its_proof(standing: Stage) -> None:
    names = ("client-1", "client-2", "client-3")
    # The collector writes down what it saw every ten seconds.
    told = status_when(
        standing, lambda told: told.code == 0 and all(told.client(name)["last_pull"] for name in names)
    )

    assert told.findings("off") == told.findings("unknown") == []
    for name in names:
        client = told.client(name)
        assert [mirror["mirror"] for mirror in client["mirrors"]] == ["mirror-1"]
        assert client["last_pull"]["mirror"] == "mirror-1"
        assert client["pulls"]["past"] == 0
    assert told.client("client-3")["image_store"] == "containerd"
    mirror = told.document["mirrors"][0]
    assert mirror["disk_free_bytes"] > 0
    assert mirror["certificate_end"] > told.document["at"]
    assert told.cache["upstream_answers"]["up"] is True
    assert told.cache["held_bytes"] > 0


def test_pulls_move_the_hit_ratio_and_show_at_their_client(standing: Stage) -> None:
    before = status(standing).cache["recent"]
    clients = [standing.lab.host(name) for name in ("client-1", "client-2", "client-3")]

    for client in clients:
        client.run(f"docker pull -q {HUB}/alpine:latest")
    told = status_when(
        standing,
        lambda told: all(told.client(one.name)["last_pull"]["image"] == "library/alpine" for one in clients),
    )

    after = told.cache["recent"]
    assert after["hits"] > before["hits"], "the second and the third pull"
    assert after["misses"] > before["misses"], "the first pull"
    assert after["saved_bytes"] > before["saved_bytes"]
    assert after["served_bytes"] - before["served_bytes"] > 2 * (
        after["fetched_bytes"] - before["fetched_bytes"]
    )
    told = status_when(
        standing, lambda told: all(told.client(one.name)["pulls"]["through"] > 0 for one in clients)
    )
    assert [told.client(one.name)["pulls"]["past"] for one in clients] == [0, 0, 0]


def test_an_image_that_is_there_already_is_pulled_through_the_mirror_too(standing: Stage) -> None:
    """Docker asks for the manifest by HEAD alone then."""
    client = standing.lab.host("client-1")
    client.run(f"docker pull -q {HUB}/alpine:latest")
    earlier = status(standing).client("client-1")["pulls"]["through"]

    client.run(f"docker pull -q {HUB}/alpine:latest")
    told = status_when(standing, lambda told: sum(told.client("client-1")["pulls"].values()) > earlier)

    assert told.client("client-1")["pulls"]["past"] == 0


def test_looking_changes_nothing_on_a_client_and_takes_one_session(standing: Stage) -> None:
    client = standing.lab.host("client-1")
    count = "journalctl --unit ssh --output cat | grep -c 'Accepted publickey'"
    before, sessions = files_of(client), int(client.run(count).stdout)

    status(standing)

    assert int(client.run(count).stdout) == sessions + 2, "status and this question"
    assert differences(before, files_of(client)) == {}


def test_a_host_that_does_not_answer_is_a_row_and_the_exit_code_2(standing: Stage) -> None:
    client = standing.lab.host("client-2")
    client.stop()
    try:
        told = status(standing)
        shown = run_status(standing)
    finally:
        client.start()

    assert (told.code, shown.returncode) == (2, 2)
    assert told.client("client-2")["answers"] is False
    assert told.findings("unknown") == [("client-2", "host")]
    assert "client-2: gave no answer: " in shown.stdout.replace("\n", " ")
    assert "client-1" in shown.stdout


def test_an_upstream_that_stopped_is_reported_and_so_is_its_return(standing: Stage) -> None:
    mirror = standing.lab.host("mirror-1")
    standing.lab.upstream.stop()
    try:
        mirror.run("systemctl start registry-cache-upstreams.service", check=False)
        told = status_when(standing, lambda told: told.cache["upstream_answers"]["refusal"] is not None)
    finally:
        standing.lab.upstream.start()

    assert told.code == 1
    assert told.findings("off") == [("mirror-1", "upstream")]
    assert told.cache["upstream_answers"]["refusal"] == "unreachable"
    mirror.run("systemctl start registry-cache-upstreams.service")
    assert status_when(standing, lambda told: told.code == 0).cache["upstream_answers"]["up"] is True


def test_a_pull_by_ipv6_looks_like_anybodys_and_is_called_unknown(standing: Stage) -> None:
    """Docker's proxy on the mirror hides who comes by IPv6."""
    mirror, client = standing.lab.host("mirror-1"), standing.lab.host("client-2")
    client.run(f"cp /etc/hosts /root/hosts.kept; echo '{mirror.address6} {mirror.dns_name}' >>/etc/hosts")
    try:
        client.run(f"docker pull -q {HUB}/redis:latest")
    finally:
        client.run("cat /root/hosts.kept >/etc/hosts")
    told = status_when(standing, lambda told: told.client("client-2")["pulls"]["unknown"] > 0)

    assert told.code == 0
    assert told.client("client-2")["pulls"]["past"] == 0
    assert ("client-2", "past") in told.findings("note")


def test_a_client_that_went_past_its_mirror_is_named_with_the_reason(standing: Stage) -> None:
    mirror = standing.lab.host("mirror-1")
    names = ("client-1", "client-3")

    for name in names:
        client = standing.lab.host(name)
        with closed_to(mirror, client):
            client.run(f"docker pull -q {HUB}/busybox:latest")
    told = status_when(standing, lambda told: all(told.client(name)["pulls"]["past"] for name in names))

    assert told.code == 1
    assert sorted(told.findings("off")) == [(name, "past") for name in names]
    for name in names:
        says = told.client(name)
        assert says["pulls"]["past"] == 1
        assert says["last_past"]["image"] == "library/busybox"
        assert "connection refused" in says["last_past"]["reason"]
    assert told.client("client-2")["pulls"]["past"] == 0


def test_the_page_opens_in_a_browser_without_a_complaint_or_a_request(
    standing: Stage, tmp_path: Path
) -> None:
    page = tmp_path / "status.html"
    deadline = time.monotonic() + SECONDS
    while run_status(standing, "--html", str(page)).returncode == 2 or "<svg" not in page.read_text():
        assert time.monotonic() < deadline, "two samples make a plot"

    did = opened(page)
    assert did.console == []
    assert did.requests == []
    for width in (PHONE, 768, DESKTOP):
        look = seen(page, width)
        assert look.width <= width, "nobody has to scroll sideways"
        assert look.wide == []
        assert look.plots >= 3
        assert "library/busybox" in look.text
    light, dark = seen(page, PHONE), seen(page, PHONE, dark=True)
    assert light.background != dark.background
