"""Each link between a client and the upstream, broken: `up` names it; and clients outlive their mirror."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from lab import Lab
from tests.lab.program_stage import HUB, Stage, reload_docker

CACHE = "registry-cache-docker.io"
CERTIFICATE = "/etc/registry-cache/tls/server.pem"
CA_OF_MIRROR = "/etc/docker/certs.d/mirror-1.lab.test/ca.crt"
URL = "https://mirror-1.lab.test"

Breaking: TypeAlias = Callable[[Lab], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def standing(lab: Lab, plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stack that is up, with a client that finds its mirror by name."""
    lab.renew(["mirror-1", "client-1"])
    directory = tmp_path_factory.mktemp("links") / "clone"
    stage = Stage.of(lab, directory, plugins, ["mirror-1"], ["client-1"], mirrorsAreClients=False)
    # What is broken here would be seen before, and put right.
    stage.set(
        mirrors=[{**stage.settings["mirrors"][0], "hostname": lab.host("mirror-1").dns_name}],
        observe="never",
    )
    try:
        stage.up()
        yield stage
    finally:
        stage.project.destroy(check=False)


@contextmanager
def name_that_does_not_resolve(lab: Lab) -> Iterator[None]:
    client = lab.host("client-1")
    client.run(
        "cp /etc/nsswitch.conf /etc/nsswitch.conf.kept; sed -i 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf"
    )
    try:
        yield
    finally:
        client.run("mv /etc/nsswitch.conf.kept /etc/nsswitch.conf")


@contextmanager
def closed_port(lab: Lab) -> Iterator[None]:
    mirror = lab.host("mirror-1")
    mirror.run(f"docker stop {CACHE}")
    try:
        yield
    finally:
        _start_cache(lab)


@contextmanager
def firewall_in_between(lab: Lab) -> Iterator[None]:
    """Somebody limits the port further, beside our own rules."""
    mirror, client = lab.host("mirror-1"), lab.host("client-1")
    rules = [
        "type filter hook prerouting priority raw",
        f"ip saddr {client.address} tcp dport 443 drop",
        f"ip6 saddr {client.address6} tcp dport 443 drop",
    ]
    mirror.run("nft -f -", "table inet somebodys {\nchain early {\n" + "\n".join(rules) + "\n}\n}\n")
    try:
        yield
    finally:
        mirror.run("nft delete table inet somebodys")


@contextmanager
def certificate_of_somebody_else(lab: Lab) -> Iterator[None]:
    mirror = lab.host("mirror-1")
    mirror.run(
        f"cp -a {CERTIFICATE} /root/server.pem.kept; cd /root; openssl req -x509 -newkey ec -days 1 -nodes "
        "-pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=mirror-1.lab.test "
        "-addext subjectAltName=DNS:mirror-1.lab.test -keyout other.key -out other.crt 2>/dev/null; "
        f"cat other.crt other.key >{CERTIFICATE}; docker restart {CACHE}"
    )
    _start_cache(lab)
    try:
        yield
    finally:
        mirror.run(f"cat /root/server.pem.kept >{CERTIFICATE}; docker restart {CACHE}")
        _start_cache(lab)


@contextmanager
def emptied_daemon_json(lab: Lab) -> Iterator[None]:
    client = lab.host("client-1")
    client.run("cp /etc/docker/daemon.json /root/kept.json")
    client.run("cat >/etc/docker/daemon.json", '{"registry-mirrors": []}\n')
    reload_docker(client, [])
    try:
        yield
    finally:
        client.run("cat /root/kept.json >/etc/docker/daemon.json")
        reload_docker(client, [URL])


@contextmanager
def ca_that_docker_lost(lab: Lab) -> Iterator[None]:
    client = lab.host("client-1")
    client.run(f"mv {CA_OF_MIRROR} /root/ca.kept")
    try:
        yield
    finally:
        client.run(f"mv /root/ca.kept {CA_OF_MIRROR}")


@contextmanager
def rate_limit_of_the_upstream(lab: Lab) -> Iterator[None]:
    lab.upstream.answer_with(429)
    try:
        yield
    finally:
        lab.upstream.answer_with(None)


@contextmanager
def upstream_away(lab: Lab) -> Iterator[None]:
    lab.upstream.stop()
    try:
        yield
    finally:
        lab.upstream.start()


def _start_cache(lab: Lab) -> None:
    """Starts the cache and waits until it is asked in vain no more, whatever certificate it shows."""
    lab.host("mirror-1").run(
        f"docker start {CACHE}; for try in $(seq 300); do "
        "curl -ksS --fail -o /dev/null --noproxy '*' --resolve mirror-1.lab.test:443:127.0.0.1 "
        f"{URL}/v2/ 2>/dev/null && exit 0; sleep 0.2; done; docker logs --tail 20 {CACHE} >&2; exit 1"
    )


@pytest.mark.parametrize(
    ("breaking", "image", "reason"),
    [
        (name_that_does_not_resolve, "nginx:1.27", "the mirror's name does not resolve on this client: "),
        (closed_port, "nginx:1.27", "the mirror's port is closed to this client: "),
        (firewall_in_between, "nginx:1.27", "the mirror does not answer this client (a firewall drops it"),
        (certificate_of_somebody_else, "nginx:1.27", "the mirror's certificate is not trusted: curl: (60)"),
        (emptied_daemon_json, "nginx:1.27", f"Docker on this client has no mirror {URL}"),
        (ca_that_docker_lost, "nginx:1.27", "the pull worked, but went past the mirror; Docker says: "),
        (rate_limit_of_the_upstream, "alpine:latest", "the upstream refused with 429, its rate limit"),
        (upstream_away, "busybox:latest", "the upstream cannot be reached: curl: (7)"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_broken_link_fails_the_up_which_names_client_mirror_and_link(
    standing: Stage, breaking: Breaking, image: str, reason: str
) -> None:
    standing.pull_as_proof(f"{HUB}/{image}")

    with breaking(standing.lab):
        failed = standing.up(check=False)

    assert failed.code != 0
    told = f"client-1 does not pull {HUB}/{image} through mirror-1 ({URL}): "
    lines = [line for line in failed.text.splitlines() if line.startswith(told)]
    assert lines, failed.text
    assert reason in lines[0]


def test_a_failed_proof_is_tried_again_by_the_next_up(standing: Stage) -> None:
    standing.pull_as_proof(f"{HUB}/hello-world:latest")
    with closed_port(standing.lab):
        assert standing.up(check=False).code != 0

    assert "client-1-proof" in standing.changes(), "nothing but the proof's failure asks for it"
    standing.up()

    assert "client-1 pulled library/hello-world through mirror-1" in standing.project.outputs()["proofs"][0]
    standing.project.preview("--expect-no-changes")


def test_other_networks_ask_for_another_proof(standing: Stage) -> None:
    """A client that access.networks leaves out is told so."""
    allowed = standing.settings["access"]["networks"]
    mirror = standing.lab.host("mirror-1")
    standing.set(access={"networks": [f"{mirror.address}/32"]})
    try:
        failed = standing.up(check=False)
    finally:
        standing.set(access={"networks": allowed})

    assert failed.code != 0
    assert "access.networks leaves it out" in failed.text
    standing.up()


def test_a_client_whose_mirror_is_down_pulls_from_the_upstream_by_itself(standing: Stage) -> None:
    client, mirror = standing.lab.host("client-1"), standing.lab.host("mirror-1")
    standing.lab.upstream.forget()

    mirror.stop()
    try:
        client.run(f"docker pull -q {HUB}/redis:latest", timeout=180)
    finally:
        mirror.start()

    seen = {request.client for request in standing.lab.upstream.requests() if "/redis/" in request.path}
    assert seen == {"client-1"}


def test_a_mirror_that_was_rebooted_serves_again_and_nothing_has_to_be_done(standing: Stage) -> None:
    _start_cache(standing.lab)
    standing.project.preview("--expect-no-changes")
    standing.pull_as_proof(f"{HUB}/nginx:latest")

    standing.up()

    assert "client-1 pulled library/nginx through mirror-1" in standing.project.outputs()["proofs"][0]
