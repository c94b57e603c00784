"""What one cache is like on its host, and that it serves what it has while its upstream is away."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.exporter import registry_counters
from lab import Lab
from lab.machine import LabHost
from tests.lab.mirror_watch import status_of
from tests.lab.program_stage import HUB, Stage

CONTAINER = "registry-cache-docker.io"
DATA = "/data/docker_registry/docker.io"
CACHED, NOT_YET_CACHED = "nginx", "redis"
BACK_WITHIN_SECONDS = 90


@dataclass
class Cached:
    """A stack with one mirror and one client; registry 2 speaks plain http, registry 3 TLS."""

    stage: Stage
    major: str
    mirror: LabHost
    client: LabHost
    url: str

    def inspect(self) -> dict[str, Any]:
        return dict(json.loads(self.mirror.run(f"docker inspect {CONTAINER}").stdout)[0])

    def pull(self, image: str) -> None:
        """Pulls an image anew, with every way around the mirror closed by an upstream that is down."""
        self.client.run(f"docker image rm -f {HUB}/{image}:latest", check=False)
        self.client.run(f"docker pull -q {HUB}/{image}:latest")

    def assert_serves_without_upstream(self) -> None:
        assert status_of(self.client, f"{self.url}/v2/") == "200"
        self.pull(CACHED)


@pytest.fixture(scope="module", params=["2", "3"])
def cached(
    request: pytest.FixtureRequest, lab: Lab, plugins: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cached]:
    """One cache of each major version; `nginx` is in it by the proof."""
    major = str(request.param)
    hosts = {"2": ("mirror-2", "client-2", "off"), "3": ("mirror-1", "client-1", "self-signed")}
    mirror, client, mode = hosts[major]
    lab.renew([mirror])
    lab.up([client])
    directory = tmp_path_factory.mktemp(f"cache-{major}") / "clone"
    stage = Stage.of(
        lab,
        directory,
        plugins,
        [mirror],
        [client],
        mirrorsAreClients=False,
        registry={"image": lab.registry_images[major]},
        tls={"mode": mode},
    )
    address = lab.host(mirror).address
    url = f"http://{address}:5000" if mode == "off" else f"https://{address}"
    try:
        stage.up()
        yield Cached(stage, major, lab.host(mirror), lab.host(client), url)
    finally:
        lab.upstream.start()
        stage.project.destroy(check=False)
        if mirror != "mirror-1":
            lab.host(mirror).stop()


def test_the_container_has_no_more_rights_than_it_needs(cached: Cached) -> None:
    container = cached.inspect()
    host = container["HostConfig"]

    assert container["Config"]["User"] == "1000:1000"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Privileged"] is False
    assert host["RestartPolicy"]["Name"] == "always"
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-file": "3", "max-size": "10m"}}
    process = cached.mirror.run(f"docker exec {CONTAINER} cat /proc/1/status").stdout
    status = dict(line.split(":\t", 1) for line in process.splitlines() if ":\t" in line)
    assert status["Uid"].split() == ["1000"] * 4
    assert int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"] == "1"


def test_the_health_check_comes_to_healthy(cached: Cached) -> None:
    deadline = time.monotonic() + BACK_WITHIN_SECONDS
    while (health := cached.inspect()["State"]["Health"])["Status"] != "healthy":
        assert time.monotonic() < deadline, health
        time.sleep(1)


def test_the_configuration_can_delete_and_keeps_no_answers_in_memory(cached: Cached) -> None:
    path = "/etc/registry-cache/docker.io/config.yml"
    configuration = yaml.safe_load(cached.mirror.read(path))

    assert configuration["storage"]["delete"] == {"enabled": True}
    assert "cache" not in configuration["storage"], "expiry beside it answers 200 with nothing (#2367)"
    assert configuration["http"]["debug"]["addr"].startswith("127.0.0.1:")
    assert cached.mirror.run(f"stat -c '%a %u:%g' {path}").stdout == "400 1000:1000\n"
    if cached.major == "3":
        assert configuration["proxy"]["ttl"] == "0s", "the collector lets go of what is old"


def test_metrics_and_health_are_for_the_container_alone(cached: Cached) -> None:
    question = f"curl -sS --max-time 3 http://{cached.mirror.address}:5001/debug/health"

    assert cached.client.run(question, check=False).code != 0
    answer = cached.mirror.run(f"docker exec {CONTAINER} wget -q -O - http://127.0.0.1:5001/debug/health")
    assert answer.stdout.strip() == "{}"


def test_the_registrys_own_counters_lie_in_its_data_directory(cached: Cached) -> None:
    file, understand = {
        "2": (".vars.json", registry_counters.of_registry_2),
        "3": (".metrics", registry_counters.of_registry_3),
    }[cached.major]
    path = f"{DATA}/{file}"
    names = ("requests", "hits", "misses", "pulled_bytes", "pushed_bytes")
    # The file is as old as the last health check.
    deadline = time.monotonic() + BACK_WITHIN_SECONDS
    given: Mapping[str, str] = {}
    while float(given.get('type="blob"', 0)) < 100_000:
        assert time.monotonic() < deadline, f"nginx came by this cache, and {path} has {given}"
        time.sleep(1)
        families = understand(cached.mirror.run(f"cat {path}", check=False).stdout)
        assert not families or set(families) == {f"registry_proxy_{name}_total" for name in names}
        given = families["registry_proxy_pushed_bytes_total"].samples if families else {}
    pulled = families["registry_proxy_pulled_bytes_total"].samples
    assert float(pulled['type="manifest"']) > 0
    # Registry 2 does not count what it pulls of blobs.
    assert (float(pulled['type="blob"']) > 100_000) is (cached.major == "3")


def test_a_place_that_takes_no_counters_makes_no_cache_unhealthy(cached: Cached) -> None:
    check = cached.inspect()["Config"]["Healthcheck"]["Test"]
    assert check[0] == "CMD"
    in_the_way = f"{DATA}/{check[-1]}.new"
    cached.mirror.run(f"rm -f {in_the_way}; mkdir -p {in_the_way}/full")

    checked = cached.mirror.run(f"docker exec {CONTAINER} {shlex.join(check[1:])}", check=False)

    cached.mirror.run(f"rm -r {in_the_way}")
    assert checked.code == 0, checked.stderr


def assert_read_only(cached: Cached) -> None:
    requests = {
        "POST": f"{cached.url}/v2/library/{CACHED}/blobs/uploads/",
        "PUT": f"{cached.url}/v2/library/{CACHED}/manifests/evil",
        "DELETE": f"{cached.url}/v2/library/{CACHED}/manifests/latest",
    }
    for method, url in requests.items():
        status = cached.client.run(f"curl -sk -X {method} -o /dev/null -w '%{{http_code}}' {url}").stdout
        assert status.startswith("4"), f"{method} {url}: {status}"


def test_nobody_can_push_to_a_cache_or_delete_from_it(cached: Cached) -> None:
    assert_read_only(cached)


def test_what_is_cached_is_served_while_the_upstream_is_away_over_restarts_and_a_reboot(
    cached: Cached,
) -> None:
    lab = cached.stage.lab
    lab.upstream.stop()

    cached.assert_serves_without_upstream()
    for order in (f"docker restart {CONTAINER}", "systemctl restart docker"):
        cached.mirror.run(order)
        cached.assert_serves_without_upstream()
    cached.mirror.reboot()
    cached.assert_serves_without_upstream()
    assert_read_only(cached)


def test_a_cache_without_its_upstream_stops_at_once_when_it_is_told_to(cached: Cached) -> None:
    took = cached.mirror.run(f"time -p docker stop -t 30 {CONTAINER} >/dev/null").stderr
    cached.mirror.run(f"docker start {CONTAINER}")

    assert float(took.split()[1]) < 5, took


def test_the_cache_is_a_proxy_again_once_its_upstream_is_back(cached: Cached) -> None:
    lab = cached.stage.lab
    lab.upstream.start()
    lab.upstream.forget()

    manifest = f"{cached.url}/v2/library/{NOT_YET_CACHED}/manifests/latest"
    accept = "-H 'Accept: application/vnd.oci.image.manifest.v1+json'"
    accept += " -H 'Accept: application/vnd.docker.distribution.manifest.v2+json'"
    cached.client.run(
        f"for try in $(seq {BACK_WITHIN_SECONDS}); do curl -sfk {accept} -o /dev/null {manifest} && exit 0; "
        "sleep 1; done; exit 1"
    )
    cached.pull(NOT_YET_CACHED)

    asked = {request.client for request in lab.upstream.requests() if f"/{NOT_YET_CACHED}/" in request.path}
    assert asked == {cached.mirror.name}


def test_a_destroy_keeps_the_data_for_the_next_stack_and_one_that_is_told_so_removes_it(
    cached: Cached,
) -> None:
    cached.stage.project.destroy()
    assert int(cached.mirror.run(f"find {DATA} -name data | wc -l").stdout) > 8

    cached.stage.set(cache={"keepOnDestroy": False})
    cached.stage.up()
    assert ", 0 fetched from the upstream" in cached.stage.project.outputs()["proofs"][0]
    cached.stage.project.destroy()

    assert cached.mirror.run(f"test -e {DATA}", check=False).code != 0
    assert cached.mirror.run("docker ps -aq").stdout == ""
