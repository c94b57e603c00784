"""Docker Engine comes from Docker's packages on every release, in the version asked for, and goes again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab import Lab
from lab.hosts import DOCKER_NEW, DOCKER_OLD
from lab.machine import Completed, LabHost
from tests.lab.program_stage import Stage, process_of, run_container
from tests.pulumi_project import Result

MIRROR = "blank-el9"
INSTALLED = ("blank-el7", "blank-el8", "blank-el9", "blank-el10")
"""Where the program installs Docker; client-1 has it already."""
REPO = "/etc/yum.repos.d/docker-ce.repo"
CENTOS_BASE = "/etc/yum.repos.d/CentOS-Base.repo"
DOCKER_COM = "https://download.docker.com"
COPY = "https://mirrors.example.test/docker-ce"
DISTRIBUTION = {"blank-el7": "centos", "blank-el8": "rhel", "blank-el9": "rhel", "blank-el10": "rhel"}

# As by a power cut: files of the packages are there, and the rpm database does not know them.
KILL_WHILE_UNPACKING = (
    "for try in $(seq 6000); do"
    " if [ -e /usr/bin/containerd ] || [ -e /usr/bin/dockerd ]; then"
    " pkill -9 -f '[b]in/yum install' && exit 0; fi; sleep 0.02; done; exit 1"
)


@dataclass
class Engines:
    """A stack that installs Docker on hosts of all releases."""

    stage: Stage
    killed: Completed
    interrupted: Result
    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    somebodys: str = ""

    def host(self, name: str) -> LabHost:
        return self.stage.lab.host(name)

    def version(self, name: str) -> str:
        """The version of the Docker that runs, which is that of its package."""
        running = (
            self.host(name).run("docker version -f '{{.Server.Version}}'").stdout.partition("+")[0].strip()
        )
        assert self.host(name).run("rpm -q --qf '%{VERSION}' docker-ce").stdout == running
        return running

    def install(self, version: str, packages: str, *, keep: bool = True) -> None:
        """Asks for another version, or another place to take it from."""
        self.stage.set(docker={"version": version, "packages": packages, "keepOnDestroy": keep})
        self.stage.up()


def _repositories(host: LabHost) -> dict[str, bytes]:
    return {path: host.read(path) for path in host.run("ls /etc/yum.repos.d/*.repo").stdout.split()}


@pytest.fixture(scope="module")
def engines(lab: Lab, plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """Brings the stack up after an attempt in which yum was killed on blank-el8."""
    lab.renew(INSTALLED)
    lab.up(["client-1"])
    repositories = {name: _repositories(lab.host(name)) for name in INSTALLED}
    somebodys = run_container(lab.host("client-1"), "somebodys")
    others = [name for name in (*INSTALLED, "client-1") if name != MIRROR]
    stage = Stage.of(lab, tmp_path_factory.mktemp("engines") / "clone", plugins, [MIRROR], others)
    clients = [{**client, "docker": "install"} for client in stage.settings["clients"]]
    for client in clients:
        if client["name"] == "blank-el7":
            client["dockerVersion"] = DOCKER_OLD
    stage.set(clients=clients, docker={"version": DOCKER_OLD})
    killed: list[Completed] = []
    killer = threading.Thread(
        target=lambda: killed.append(
            lab.host("blank-el8").run(KILL_WHILE_UNPACKING, check=False, timeout=300)
        )
    )
    try:
        killer.start()
        interrupted = stage.up(check=False)
        killer.join()
        stage.up()
        yield Engines(stage, killed[0], interrupted, repositories, somebodys)
    finally:
        stage.project.destroy(check=False)
        for name in INSTALLED:
            lab.host(name).stop()


def test_an_installation_that_was_killed_is_completed_by_the_next_up(engines: Engines) -> None:
    assert engines.killed.code == 0, "yum was killed while it unpacked"
    assert engines.interrupted.code != 0
    assert "blank-el8-docker-engine" in engines.interrupted.text

    assert engines.version("blank-el8") == DOCKER_OLD
    assert engines.host("blank-el8").run("rpm -V docker-ce docker-ce-cli containerd.io").stdout == ""


@pytest.mark.parametrize("name", INSTALLED)
def test_each_release_gets_the_pinned_version_from_its_own_path_with_signatures_checked(
    engines: Engines, name: str
) -> None:
    host = engines.host(name)
    repository = host.read(REPO).decode()

    assert engines.version(name) == DOCKER_OLD
    assert f"baseurl={DOCKER_COM}/linux/{DISTRIBUTION[name]}/$releasever/$basearch/stable" in repository
    assert "gpgcheck=1" in repository
    assert host.run("systemctl is-enabled docker; systemctl is-active docker").stdout == "enabled\nactive\n"


def test_el10_gets_the_kernel_modules_that_dockerd_needs(engines: Engines) -> None:
    assert engines.host("blank-el10").run("rpm -q kernel-modules-extra").code == 0
    assert engines.host("blank-el9").run("rpm -q kernel-modules-extra", check=False).code != 0


def test_centos_7_takes_its_dead_repositories_from_the_vault(engines: Engines) -> None:
    text = engines.host("blank-el7").read(CENTOS_BASE).decode()

    assert "\nbaseurl=http://vault.centos.org/7.9.2009/os/" in text
    assert not [line for line in text.splitlines() if line.startswith("mirrorlist=")]


def test_a_docker_that_was_there_before_stays_as_it_is_and_its_containers_run_on(engines: Engines) -> None:
    host = engines.host("client-1")

    assert engines.version("client-1") == DOCKER_NEW, "though the stack asks for another version"
    assert host.run(f"test -e {REPO}", check=False).code != 0
    assert process_of(host, "somebodys") == engines.somebodys


def test_another_version_from_a_copy_of_the_repository_is_an_upgrade_after_which_the_cache_serves(
    engines: Engines,
) -> None:
    engines.install(DOCKER_NEW, COPY)

    for name in INSTALLED:
        assert engines.version(name) == (DOCKER_OLD if name == "blank-el7" else DOCKER_NEW), name
        repository = engines.host(name).read(REPO).decode()
        assert f"baseurl={COPY}/linux/{DISTRIBUTION[name]}/" in repository
        assert f"gpgkey={COPY}/" in repository
        assert DOCKER_COM not in repository
    assert process_of(engines.host("client-1"), "somebodys") == engines.somebodys
    engines.stage.project.preview("--expect-no-changes")


def test_the_version_before_comes_back_after_which_the_cache_serves(engines: Engines) -> None:
    engines.stage.pull_as_proof("docker.io/library/redis:latest")

    engines.install(DOCKER_OLD, DOCKER_COM, keep=False)

    assert {name: engines.version(name) for name in INSTALLED} == dict.fromkeys(INSTALLED, DOCKER_OLD)
    assert all("through blank-el9" in proof for proof in engines.stage.project.outputs()["proofs"])


def test_a_destroy_takes_away_what_was_installed_where_it_is_told_to_and_nothing_of_others(
    engines: Engines,
) -> None:
    engines.stage.project.destroy()

    for name in INSTALLED:
        host = engines.host(name)
        assert _repositories(host) == engines.repositories[name], f"{name}: the repositories are as before"
        packages = host.run("rpm -qa").stdout
        assert "docker" not in packages, name
        assert "containerd" not in packages, name
        assert host.run("command -v dockerd", check=False).code != 0
    assert engines.version("client-1") == DOCKER_NEW
    assert process_of(engines.host("client-1"), "somebodys") == engines.somebodys
