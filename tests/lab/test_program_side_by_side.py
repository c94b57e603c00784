"""Two stacks at the same time, each with a mirror and a client of its own: they share nothing."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab import Lab
from tests.lab.program_stage import Stage, live_mirrors

PAIRS = (("mirror-1", "client-1"), ("mirror-2", "client-2"))


@pytest.fixture(scope="module")
def stages(lab: Lab, plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Stage]]:
    """Two stacks of one project, brought up at the same time."""
    standing = set(lab.host_names())
    hosts = [name for pair in PAIRS for name in pair]
    lab.renew(hosts)
    directory = tmp_path_factory.mktemp("pairs")
    both = [
        Stage.of(lab, directory / mirror / "clone", plugins, [mirror], [client], mirrorsAreClients=False)
        for mirror, client in PAIRS
    ]
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda stage: stage.up(), both))
        yield both
    finally:
        for stage in both:
            stage.project.destroy(check=False)
        lab.drop([name for name in hosts if name not in standing])


def test_each_client_is_proven_at_its_own_mirror(stages: list[Stage]) -> None:
    for stage, (mirror, client) in zip(stages, PAIRS, strict=True):
        (proof,) = stage.project.outputs()["proofs"]
        assert proof.startswith(f"{client} pulled library/nginx through {mirror}: ")
        assert live_mirrors(stage.lab.host(client)) == [f"https://{stage.lab.host(mirror).address}"]
        stage.project.preview("--expect-no-changes")


def test_their_authorities_and_keys_are_not_the_same(stages: list[Stage]) -> None:
    first, second = (
        {
            path: stage.lab.host(host).run(f"sha256sum <{path}").stdout
            for host, path in (
                (client, "/etc/docker/registry-cache-ca.crt"),
                (mirror, "/etc/registry-cache/tls/server.pem"),
            )
        }
        for stage, (mirror, client) in zip(stages, PAIRS, strict=True)
    )

    assert not set(first.values()) & set(second.values())


def test_the_destroy_of_one_leaves_the_other_as_it_is(stages: list[Stage]) -> None:
    gone, staying = stages

    gone.project.destroy()

    assert live_mirrors(gone.lab.host("client-1")) == []
    assert staying.changes() == {}
    staying.pull_as_proof("docker.io/library/redis:latest")
    staying.up()
    (proof,) = staying.project.outputs()["proofs"]
    assert proof.startswith("client-2 pulled library/redis through mirror-2: ")
