"""The life of a stack on hosts with things of other people: up, again, changes, a client leaves, destroy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab import Lab
from tests.lab.program_stage import (
    Stage,
    differences,
    files_of,
    live_mirrors,
    process_of,
    reload_docker,
    run_container,
)

CLIENTS = ("client-1", "client-2")
OTHERS_MIRROR = "https://hub.other.example"

# A comma where nobody would put it, tabs and blanks mixed, no newline at the end, and a mode of its own.
OTHERS_DAEMON_JSON = (
    '{\n\t"log-driver" : "json-file"\n   , "log-opts":{"max-size":"5m",   "max-file": "2"},\n'
    f'  "registry-mirrors":["{OTHERS_MIRROR}/"],\n      "labels": ["rack=7"]   }}'
)
EDITED = '"max-concurrent-downloads": 2'

# What installing packages leaves beside the packages' own files: users, the linker's cache, enabled units.
PACKAGES_LEAVE = {
    "/etc/group",
    "/etc/group-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/ld.so.cache",
    "/etc/systemd/system/multi-user.target.wants",
    "/etc/systemd/system/multi-user.target.wants/docker.service",
    "/etc/docker",
    "/etc/containerd",
    # Docker itself asks firewalld for these two (moby, libnetwork's firewalld.go).
    "/etc/firewalld/zones/docker.xml",
    "/etc/firewalld/policies/docker-forwarding.xml",
}


@dataclass
class Life:
    """One stack, and what its hosts were like before it."""

    stage: Stage
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    daemon_json: dict[str, bytes] = field(default_factory=dict)
    mirrors: dict[str, list[str]] = field(default_factory=dict)
    processes: dict[str, str] = field(default_factory=dict)
    rules: dict[str, str] = field(default_factory=dict)

    @property
    def lab(self) -> Lab:
        return self.stage.lab


def _firewall(lab: Lab, name: str) -> str:
    """A host's packet filter without its counters."""
    return (
        lab.host(name)
        .run("iptables-save | sed -E 's/\\[[0-9:]+\\]//; /^#/d'; ip6tables-save | grep ^-A; true")
        .stdout
    )


@pytest.fixture(scope="module")
def life(lab: Lab, plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """Hosts with containers and settings of other people, and a stack that is not yet up on them."""
    lab.renew(["mirror-1", *CLIENTS])
    for name in CLIENTS:
        host = lab.host(name)
        host.run("mkdir -p /etc/docker && cat >/etc/docker/daemon.json", OTHERS_DAEMON_JSON)
        host.run("chmod 640 /etc/docker/daemon.json")
        reload_docker(host, [OTHERS_MIRROR])
    directory = tmp_path_factory.mktemp("life") / "clone"
    life = Life(Stage.of(lab, directory, plugins, ["mirror-1"], CLIENTS))
    for name in CLIENTS:
        life.processes[name] = run_container(lab.host(name), "somebodys")
        life.mirrors[name] = live_mirrors(lab.host(name))
        life.rules[name] = _firewall(lab, name)
    for name in ("mirror-1", *CLIENTS):
        life.files[name] = files_of(lab.host(name))
    try:
        yield life
    finally:
        life.stage.project.destroy(check=False)


def test_a_first_up_on_blank_hosts_ends_in_a_proof_for_each_client(life: Life) -> None:
    life.lab.upstream.forget()

    life.stage.up()

    proofs = life.stage.project.outputs()["proofs"]
    assert [proof.split()[0] for proof in proofs] == ["mirror-1", *CLIENTS]
    assert all("through mirror-1" in proof and " 0 blobs served" not in proof for proof in proofs), proofs
    seen = {request.client for request in life.lab.upstream.requests() if "/nginx/" in request.path}
    assert seen == {"mirror-1"}, "no client asked the upstream for it by itself"


def test_a_second_up_and_a_preview_change_nothing(life: Life) -> None:
    life.stage.project.preview("--expect-no-changes")
    again = life.stage.up()

    assert life.stage.changes() == {}
    assert "unchanged" in again.stdout
    for word in ("created", "updated", "replaced", "deleted"):
        assert f" {word}\n" not in again.stdout


def test_our_mirror_goes_before_the_mirrors_of_others_and_their_settings_stay(life: Life) -> None:
    host = life.lab.host("client-2")
    merged = json.loads(host.read("/etc/docker/daemon.json"))

    url = f"https://{life.lab.host('mirror-1').address}"
    assert live_mirrors(host) == [url, OTHERS_MIRROR]
    before = json.loads(OTHERS_DAEMON_JSON)
    assert {**merged, "registry-mirrors": None} == {**before, "registry-mirrors": None}
    assert host.run("stat -c %a /etc/docker/daemon.json").stdout == "640\n"


def test_other_networks_show_as_a_line_of_the_preview_and_change_the_rules_in_place(life: Life) -> None:
    networks = [*life.lab.network.allowed, "198.51.100.0/24"]
    life.stage.set(access={"networks": networks})
    rules = "nft list table inet registry_cache"
    host = life.lab.host("mirror-1")

    preview = life.stage.project.preview().stdout

    assert [line for line in preview.splitlines() if "+" in line and "198.51.100.0/24" in line], preview
    assert "198.51.100.0" not in host.run(rules).stdout, "a preview changes nothing"
    assert life.stage.changes()["mirror-1-firewall"] == "update"
    life.stage.up()
    assert "198.51.100.0/24" in host.run(rules).stdout
    life.stage.project.preview("--expect-no-changes")


def test_another_name_of_the_mirror_reaches_all_clients_and_the_edit_of_a_person_stays(life: Life) -> None:
    edited = life.lab.host("client-1")
    edited.run(f"sed -i 's/\"labels\"/{EDITED}, &/' /etc/docker/daemon.json")
    mirror = {**life.stage.settings["mirrors"][0], "hostname": life.lab.host("mirror-1").dns_name}
    life.stage.set(mirrors=[mirror])

    life.stage.up()

    url = "https://mirror-1.lab.test"
    for name in CLIENTS:
        assert live_mirrors(life.lab.host(name)) == [url, OTHERS_MIRROR], "and the old address is gone"
    assert live_mirrors(life.lab.host("mirror-1")) == [url]
    assert json.loads(edited.read("/etc/docker/daemon.json"))["max-concurrent-downloads"] == 2
    life.stage.project.preview("--expect-no-changes")


def test_a_client_that_leaves_the_stack_is_as_before_and_the_others_stay_configured(life: Life) -> None:
    clients = [client for client in life.stage.settings["clients"] if client["name"] != "client-2"]
    life.stage.set(clients=clients)

    life.stage.up()

    left = life.lab.host("client-2")
    assert differences(life.files["client-2"], files_of(left)) == {}
    assert left.read("/etc/docker/daemon.json") == OTHERS_DAEMON_JSON.encode()
    assert live_mirrors(left) == [OTHERS_MIRROR]
    for name in ("client-1", "mirror-1"):
        assert "https://mirror-1.lab.test" in live_mirrors(life.lab.host(name))


def test_a_destroy_leaves_no_trace_on_a_client_but_what_people_wrote_meanwhile(life: Life) -> None:
    life.stage.project.destroy()

    edited = life.lab.host("client-1")
    assert set(differences(life.files["client-1"], files_of(edited))) == {"/etc/docker/daemon.json"}
    theirs = OTHERS_DAEMON_JSON.replace('"labels"', f'{EDITED}, "labels"')
    assert edited.read("/etc/docker/daemon.json") == theirs.encode()
    assert live_mirrors(edited) == [OTHERS_MIRROR]
    assert {name: _firewall(life.lab, name) for name in CLIENTS} == life.rules


def test_running_containers_of_other_people_run_on_over_all_of_this(life: Life) -> None:
    after = {name: process_of(life.lab.host(name), "somebodys") for name in CLIENTS}

    assert after == life.processes


def test_a_destroy_leaves_a_mirror_host_with_docker_the_cached_data_and_nothing_else(life: Life) -> None:
    host = life.lab.host("mirror-1")
    changed = differences(life.files["mirror-1"], files_of(host))
    of_packages = host.run(
        'while read -r path; do rpm -qf "$path" >/dev/null 2>&1 && echo "$path"; done; true',
        "".join(f"{path}\n" for path in changed),
    ).stdout.splitlines()

    assert set(changed) - set(of_packages) - PACKAGES_LEAVE == set()
    assert host.run("systemctl is-active docker").stdout == "active\n"
    assert live_mirrors(host) == []
    assert host.run("docker ps -aq").stdout == ""
    assert "registry_cache" not in host.run("nft list ruleset").stdout
    blobs = host.run("find /data/docker_registry/docker.io/docker/registry/v2/blobs -name data").stdout
    assert len(blobs.splitlines()) >= 4, "a manifest and three layers at least"
