"""Many upstreams on a mirror: tokens, limits, a proxy, prefetch, outages; and a mirror of a mirror."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab import Lab
from lab.machine import LabHost
from lab.proxy import Passage
from tests.lab.mirror_watch import status_of
from tests.lab.program_stage import ROOT, Stage, process_of

MIRROR, CLIENT, SECOND_MIRROR = "mirror-1", "client-1", "mirror-2"
# A stand-in for Docker that says of itself what Docker 29 with containerd's image store does.
CONTAINERD = "light-1"
GRAPH_DRIVER, SNAPSHOTTER = r"\[Backing Filesystem extfs\]", "io.containerd.snapshotter.v1"
PORTS = {"docker.io": 443, "ghcr.io": 5001, "registry.k8s.io": 5002, "gcr.io": 5003, "quay.io": 5004}
PRIVATE, PUBLIC, INDEX = "ghcr.io/acme/private:1.0", "ghcr.io/acme/tool:1.0", "registry.k8s.io/pause:3.10"
ON_HUB = "docker.io/library/redis:latest"
# What YAML, a shell, JSON and curl would each read as something else.
AWKWARD = "~abc #def'\"$(x)\\: @é"
ROTATED = "@x: 'y"
DATA = "/data/docker_registry"
PULLERS = 10


@dataclass
class Many:
    """A stack with a cache for each upstream; `password` is the file that it reads ghcr.io's from."""

    stage: Stage
    password: Path
    mirror: LabHost
    client: LabHost

    @property
    def lab(self) -> Lab:
        return self.stage.lab

    def upstreams(self, *registries: str) -> list[dict[str, Any]]:
        """The section of the configuration for these registries."""
        login = {"username": "reader", "passwordFile": str(self.password)}
        return [
            {"registry": name, "port": PORTS[name], **(login if name == "ghcr.io" else {})}
            for name in registries
        ]

    def processes(self) -> dict[str, str]:
        """When each cache was started, and as which process."""
        names = self.mirror.run(
            "docker ps --filter name=registry-cache- --format '{{.Names}}'"
        ).stdout.split()
        return {name.removeprefix("registry-cache-"): process_of(self.mirror, name) for name in names}

    def served(self, image: str) -> str:
        """What a client gets for a manifest: the HTTP status, and the error's code if there is one."""
        registry, rest = image.split("/", 1)
        repository, reference = rest.rsplit(":", 1)
        accept = "-H 'Accept: application/vnd.docker.distribution.manifest.v2+json'"
        url = f"https://{self.mirror.address}:{PORTS[registry]}/v2/{repository}/manifests/{reference}"
        answer = self.client.run(f"curl -sk {accept} -w '\n%{{http_code}}' {url}").stdout
        body, _, status = answer.rpartition("\n")
        codes = re.findall(r'"code":"(\w+)"', body) if status != "200" else []
        return " ".join([status, *codes])

    def pull(self, image: str) -> None:
        """A pull by Docker, by the mirror's name, of what the client does not have."""
        registry, rest = image.split("/", 1)
        local = f"{self.mirror.address}:{PORTS[registry]}/{rest}"
        self.client.run(f"docker image rm -f {local} >/dev/null 2>&1; docker pull -q {local}")

    def asked(self, image: str) -> str:
        """What the upstream answers to the mirror itself."""
        registry, rest = image.split("/", 1)
        repository, reference = rest.rsplit(":", 1)
        script = "/var/lib/registry-cache/scripts/ask_upstream.sh"
        address = "registry-1.docker.io" if registry == "docker.io" else registry
        question = f"registry-cache-{registry} https://{address} {repository} {reference}"
        return self.mirror.run(f"bash {script} {question}").stdout.strip()


def blob_fetches(lab: Lab, registry: str) -> Counter[str]:
    """How often each blob was fetched from an upstream."""
    fetched: Counter[str] = Counter()
    for request, times in lab.upstream_of(registry).requests().items():
        if request.method == "GET" and "/blobs/" in request.path and request.status == 200:
            fetched[request.path.rpartition("/")[2]] += times
    return fetched


@pytest.fixture(scope="module")
def many(lab: Lab, plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Many]:
    """Five caches and three images prefetched into them, one of them private; the login is an awkward one."""
    lab.renew([MIRROR])
    lab.up([CLIENT, CONTAINERD])
    lab.host(CONTAINERD).run(f"sed -i 's/{GRAPH_DRIVER}/[driver-type {SNAPSHOTTER}]/' /usr/bin/docker")
    directory = tmp_path_factory.mktemp("many")
    password = directory / "password"
    password.touch(mode=0o600)
    password.write_text(f"{AWKWARD}\n")
    clients = [CLIENT, CONTAINERD]
    stage = Stage.of(lab, directory / "clone", plugins, [MIRROR], clients, mirrorsAreClients=False)
    many = Many(stage, password, lab.host(MIRROR), lab.host(CLIENT))
    stage.set(upstreams=many.upstreams(*PORTS), prefetch=[PRIVATE, INDEX, ON_HUB])
    ghcr = lab.upstream_of("ghcr.io")
    ghcr.accounts({"reader": AWKWARD})
    for registry in PORTS:
        lab.upstream_of(registry).forget()
    try:
        stage.up()
        yield many
    finally:
        lab.reconnect(MIRROR)
        for registry in PORTS:
            lab.upstream_of(registry).start()
            lab.upstream_of(registry).answer_with(None)
            lab.upstream_of(registry).rate_limit(None)
        ghcr.accounts({"reader": "a-lab-token"})
        stage.project.destroy(check=False)
        lab.drop([CONTAINERD])


def test_each_upstream_has_a_hardened_cache_with_the_one_certificate(many: Many) -> None:
    names = [f"registry-cache-{registry}" for registry in PORTS]
    containers = json.loads(many.mirror.run(f"docker inspect {' '.join(names)}").stdout)
    shown = {
        many.client.run(
            f"openssl s_client -connect {many.mirror.address}:{port} </dev/null 2>/dev/null | "
            "openssl x509 -noout -fingerprint"
        ).stdout
        for port in PORTS.values()
    }

    assert len(containers) == len(PORTS)
    for container in containers:
        host = container["HostConfig"]
        assert container["Config"]["User"] == "1000:1000", container["Name"]
        assert host["ReadonlyRootfs"] is True
        assert host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert len(shown) == 1
    assert "ingerprint=" in shown.pop()


def test_a_prefetched_image_is_fetched_once_also_for_many_clients_at_once(many: Many) -> None:
    before = {registry: blob_fetches(many.lab, registry) for registry in ("ghcr.io", "docker.io")}
    caches = {
        registry: {
            "url": f"https://{many.mirror.address}:{PORTS[registry]}",
            "container": "none",
            "upstream": "none",
        }
        for registry in before
    }
    images = [
        {"name": PRIVATE, "registry": "ghcr.io", "repository": "acme/private", "reference": "1.0"},
        {"name": ON_HUB, "registry": "docker.io", "repository": "library/redis", "reference": "latest"},
    ]
    ca = many.client.read("/etc/docker/registry-cache-ca.crt").decode()
    question = json.dumps({"required": True, "images": images, "caches": caches, "ca": ca})
    many.client.run("mkdir -p /root/puller")
    for file in (ROOT / "components/puller").glob("*.py"):
        many.client.run(f"cat >/root/puller/{file.name}", file.read_text())

    many.client.run(
        f"cat >/root/question; cd /root; for n in $(seq {PULLERS}); do python3 -m puller <question & done; "
        "for n in $(jobs -p); do wait $n || exit 1; done",
        question,
    )

    assert len(before["ghcr.io"]) == 4, "three layers and the configuration"
    for registry, fetches in before.items():
        assert set(fetches.values()) == {1}, "by the prefetch"
        assert blob_fetches(many.lab, registry) == fetches, "and by nobody since"


def test_of_an_index_the_platform_of_the_mirror_comes(many: Many) -> None:
    stored = many.mirror.run(f"ls {DATA}/registry.k8s.io/docker/registry/v2/blobs/sha256/*").stdout
    digests = {
        name: digest
        for name, digest in (
            line.split()[1:] for line in (many.lab.state_dir / "digests").read_text().splitlines()
        )
        if name.startswith("3.10")
    }

    assert digests["3.10"].removeprefix("sha256:") in stored
    assert digests["3.10-amd64"].removeprefix("sha256:") in stored
    assert digests["3.10-arm64"].removeprefix("sha256:") not in stored


def test_a_registry_that_sends_on_who_asks_for_an_image_serves_and_counts_as_up(many: Many) -> None:
    many.mirror.run("systemctl start registry-cache-upstreams.service")
    seen = json.loads(many.mirror.read("/var/lib/registry-cache/metrics/upstreams.json"))["upstreams"]

    requests = many.lab.upstream_of("registry.k8s.io").requests()
    assert {request.method for request in requests if request.status == 307} >= {"GET", "HEAD"}
    assert many.asked(INDEX) == "ok"
    assert many.served(f"{INDEX}-amd64") == "200"
    assert seen["registry.k8s.io"]["detail"] == "gcr.io answers 200"
    assert {registry: one["refusal"] for registry, one in seen.items()} == dict.fromkeys(PORTS)


def test_a_private_image_comes_by_a_token_and_its_password_is_in_no_configuration(many: Many) -> None:
    many.pull(PRIVATE)

    tokens = {r.status for r in many.lab.upstream_of("ghcr.io").requests() if r.path == "/token"}
    assert tokens == {200}
    shown = many.mirror.run("docker inspect $(docker ps -aq)").stdout
    assert AWKWARD not in shown
    assert "abc #def" not in "".join(p.read_text() for p in many.stage.project.directory.glob("Pulumi*.yaml"))


def test_containerds_image_store_gets_a_mirror_of_every_registry(many: Many) -> None:
    client = many.lab.host(CONTAINERD)

    for registry, port in PORTS.items():
        document = tomllib.loads(client.read(f"/etc/docker/certs.d/{registry}/hosts.toml").decode())
        server = "registry-1.docker.io" if registry == "docker.io" else registry
        url = f"https://{many.mirror.address}" + (f":{port}" if port != 443 else "")
        assert document["server"] == f"https://{server}"
        assert list(document["host"]) == [url]
        assert client.run(f"test -s {document['host'][url]['ca']}").code == 0
    found = many.client.run("find /etc/docker -name hosts.toml").stdout
    assert found == "", "a graph driver reads none"


def assert_served_while_away(many: Many) -> None:
    """Stops ghcr.io, and pulls what its login got before and after a restart of the cache."""
    ghcr = many.lab.upstream_of("ghcr.io")
    ghcr.stop()
    try:
        many.pull(PRIVATE)
        many.mirror.run("docker restart -t 5 registry-cache-ghcr.io")
        assert status_of(many.client, f"https://{many.mirror.address}:{PORTS['ghcr.io']}/v2/") == "200"
        many.pull(PRIVATE)
        assert many.served("ghcr.io/acme/private:2.0").startswith("404 ")
        assert many.asked("ghcr.io/acme/private:2.0").startswith("unreachable ")
    finally:
        ghcr.start()


def test_what_a_login_got_is_served_while_its_upstream_is_away_right_after_a_restart_too(many: Many) -> None:
    assert_served_while_away(many)


def test_a_second_up_pulls_nothing_and_a_longer_list_pulls_again(many: Many) -> None:
    many.stage.set(prefetch=[PRIVATE, INDEX, ON_HUB, PUBLIC])
    assert many.stage.changes() == {f"{MIRROR}-prefetch": "update"}, "and nothing else would be done"

    many.stage.up()

    directory = f"{DATA}/ghcr.io/docker/registry/v2/repositories/acme/tool"
    assert many.mirror.run(f"test -d {directory}").code == 0
    assert set(blob_fetches(many.lab, "ghcr.io").values()) == {1}


def test_a_rate_limit_is_named_as_what_it_is_and_so_is_an_image_that_is_not_there(many: Many) -> None:
    many.lab.upstream_of("quay.io").rate_limit(0)
    many.stage.set(prefetch=["quay.io/pause:3.10", "ghcr.io/acme/nothing:1", PUBLIC])

    failed = many.stage.up(check=False)
    said = many.asked("quay.io/pause:3.10")
    served = many.served("quay.io/pause:3.10-arm64")
    many.lab.upstream_of("quay.io").rate_limit(None)

    assert failed.code != 0
    assert "quay.io/pause:3.10: quay.io does not give it, rate limited: quay.io answers 429" in failed.text
    assert "ghcr.io/acme/nothing:1: ghcr.io has no such image" in failed.text
    assert f"{PUBLIC}: 4 blobs, " in failed.text, "what comes after them is pulled all the same"
    assert said == "rate_limited quay.io answers 429"
    assert served == "404 MANIFEST_UNKNOWN", "so says the registry itself, whatever the upstream said"


def test_status_and_metrics_call_a_refusal_as_proofs_and_prefetches_do(many: Many) -> None:
    hub, ghcr, others = (many.lab.upstream_of(name) for name in ("docker.io", "ghcr.io", "quay.io"))
    hub.rate_limit(0)
    ghcr.accounts({"reader": "another password"})
    others.answer_with(503)
    try:
        many.mirror.run("systemctl start registry-cache-upstreams.service")
        asked = {image.split("/")[0]: many.asked(image).split()[0] for image in (ON_HUB, PRIVATE, INDEX)}
    finally:
        hub.rate_limit(None)
        ghcr.accounts({"reader": AWKWARD})
        others.answer_with(None)
    seen = json.loads(many.mirror.read("/var/lib/registry-cache/metrics/upstreams.json"))["upstreams"]

    assert asked == {
        "docker.io": "rate_limited",
        "ghcr.io": "unauthorized",
        "registry.k8s.io": "server_error",
    }
    assert {registry: seen[registry]["refusal"] for registry in asked} == asked
    assert (seen["docker.io"]["rate_limit"], seen["docker.io"]["rate_limit_remaining"]) == (100, 0)


def test_an_upstream_that_comes_or_goes_leaves_the_other_caches_alone(many: Many) -> None:
    before = many.processes()

    many.stage.set(
        upstreams=many.upstreams("docker.io", "ghcr.io", "registry.k8s.io", "quay.io"), prefetch=[PRIVATE]
    )
    many.stage.up()
    without = many.processes()
    told = many.lab.host(CONTAINERD).run("ls /etc/docker/certs.d").stdout.split()
    many.stage.set(upstreams=many.upstreams("docker.io", "gcr.io", "ghcr.io", "registry.k8s.io", "quay.io"))
    many.stage.up()
    again = many.processes()

    assert set(before) == set(again) == set(PORTS)
    assert without == {name: started for name, started in before.items() if name != "gcr.io"}
    assert {name: started for name, started in again.items() if name != "gcr.io"} == without
    assert again["gcr.io"] != before["gcr.io"]
    assert "gcr.io" not in told
    assert "quay.io" in told


def test_a_wrong_login_ends_an_up_by_its_name_and_a_right_one_replaces_just_its_cache(many: Many) -> None:
    many.lab.upstream_of("ghcr.io").accounts({"reader": ROTATED})
    many.password.write_text("not the password")
    before = many.processes()

    failed = many.stage.up(check=False)
    said = many.asked(PRIVATE)
    many.password.write_text(ROTATED)
    many.stage.up()
    after = many.processes()

    assert failed.code != 0
    assert "ghcr.io refuses the login of reader (ghcr.io answers 401)" in failed.text
    assert "not the password" not in failed.text
    assert said == "unauthorized ghcr.io answers 401"
    assert many.asked(PRIVATE) == "ok"
    assert {name for name in before if before[name] != after[name]} == {"ghcr.io"}


def test_a_mirror_that_only_the_proxy_gets_out_of_fetches_and_asks_through_it(many: Many) -> None:
    lab = many.lab
    lab.cut_off(MIRROR)
    lab.proxy.forget()
    lab.upstream_of("registry.k8s.io").forget()
    many.stage.set(
        proxy={"https": lab.proxy.url, "noProxy": ["10.0.0.0/8"]}, prefetch=["gcr.io/pause:3.10", PUBLIC]
    )

    many.stage.up()

    assert many.asked(PRIVATE) == "ok"
    went = lab.proxy.passages()
    assert went[Passage(MIRROR, "gcr.io:443")] > 0
    assert went[Passage(MIRROR, "ghcr.io:443")] > 0
    assert {request.client for request in lab.upstream_of("gcr.io").requests()} == {"internet"}
    lab.reconnect(MIRROR)


def test_a_mirror_of_a_mirror_trusts_its_ca_and_fetches_from_it_alone(
    many: Many, plugins: Path, tmp_path: Path
) -> None:
    lab = many.lab
    lab.up([SECOND_MIRROR])
    second = lab.host(SECOND_MIRROR)
    authority = tmp_path / "ca.pem"
    authority.write_bytes(many.client.read("/etc/docker/registry-cache-ca.crt"))
    chain = Stage.of(lab, tmp_path / "clone", plugins, [SECOND_MIRROR], [], prefetch=[ON_HUB])
    first = f"https://{many.mirror.address}"
    chain.set(upstreams=[{"registry": "docker.io", "url": first, "caFile": str(authority)}])
    lab.upstream.forget()
    try:
        chain.up()

        asked = {r.path for r in lab.upstream.requests() if r.client == SECOND_MIRROR}
        assert not {path for path in asked if "/redis/" in path}, (
            "its own Docker fetched the registry's image"
        )
        log = many.mirror.run("docker logs registry-cache-docker.io 2>&1").stdout
        assert f"{second.address} - - " in log
        answer = "bash /var/lib/registry-cache/scripts/ask_upstream.sh registry-cache-docker.io"
        assert second.run(f"{answer} {first} library/redis latest").stdout == "ok\n"
        second.run("rm /etc/registry-cache/docker.io/upstream-ca.pem")
        assert second.run(f"{answer} {first} library/redis latest").stdout.startswith(
            f"tls {many.mirror.address}: curl: (60)"
        )
    finally:
        chain.project.destroy(check=False)
        lab.drop([SECOND_MIRROR])


def test_registry_2_logs_in_and_serves_while_its_upstream_is_away_too(many: Many) -> None:
    many.mirror.run(f"rm -rf {DATA}/ghcr.io/docker")
    many.stage.set(
        registry={"image": many.lab.registry_images["2"]},
        upstreams=many.upstreams("docker.io", "ghcr.io"),
        proxy={},
        prefetch=[PRIVATE],
    )
    many.stage.up()

    assert many.asked(PRIVATE) == "ok"
    assert_served_while_away(many)
