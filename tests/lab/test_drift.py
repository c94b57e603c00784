"""What somebody changes on a host shows in a plain preview, by name, and one `up` puts right just that."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab import Lab
from lab.hosts import DOCKER_NEW, DOCKER_OLD
from lab.machine import LabHost
from tests.lab.program_stage import Stage, differences, files_of, run_container
from tests.pulumi_project import Result

MIRROR, CLIENT = "mirror-1", "client-1"
CACHE = "registry-cache-docker.io"
PEM = "/etc/registry-cache/tls/server.pem"
CREDENTIALS = "/etc/registry-cache/docker.io/credentials"
RULES = "/etc/registry-cache/firewall.nft"
UNIT = "/etc/systemd/system/registry-cache-firewall.service"
REPO = "/etc/yum.repos.d/docker-ce.repo"
DATA = "/data/docker_registry/docker.io"
CA = "/etc/docker/registry-cache-ca.crt"
DAEMON_JSON = "/etc/docker/daemon.json"
TABLE = "inet registry_cache"
SCRIPT = "/var/lib/registry-cache/scripts/file.sh"
FIREWALLD_RULE = (
    "rule family=ipv6 source address=$(cut -d' ' -f2 /var/lib/registry-cache/firewall-opened) "
    "port port=443 protocol=tcp accept"
)
NOTED = (
    *(f"/var/lib/registry-cache/{name}" for name in ("stamps", "containers", "client-known")),
    *(f"/var/lib/registry-cache/{name}" for name in ("collect", "metrics")),
    "/var/tmp/systemd-private-",
)
"""What our steps note of themselves, what our services write all the time, and their temporary folders."""


@dataclass(frozen=True)
class Tampering:
    """What somebody does on a host, and the steps that it concerns with what the plan does to them.

    `said` are parts of what the preview says at these steps. `right` is a command that fails unless things
    are as they should be.
    """

    name: str
    host: str
    command: str
    steps: Mapping[str, str]
    said: Sequence[str]
    right: str


def _step(step: str, operation: str = "update") -> dict[str, str]:
    return {step: operation}


REPLACED = {
    f"{MIRROR}-docker.io-container": "replace",
    f"{MIRROR}-answers-docker.io": "update",
    f"{MIRROR}-proof": "update",
    f"{CLIENT}-proof": "update",
}
"""What follows where the container is another one, as always."""

CONTAINER_RIGHT = (
    f"test $(docker inspect -f '{{{{.State.Running}}}} {{{{.HostConfig.RestartPolicy.Name}}}} "
    f"{{{{.Config.User}}}}' {CACHE} | tr ' ' _) = true_always_1000:1000"
    f" && curl -fsk --retry 20 --retry-all-errors --retry-delay 1 -o /dev/null https://localhost/v2/"
)
WITHOUT_MIRROR = f'sed -i \'s,"https://[^"]*",,\' {DAEMON_JSON}'
UNTIL_FORGOTTEN = (
    "systemctl reload docker && for try in $(seq 150); do"
    " docker info -f '{{json .RegistryConfig.Mirrors}}' | grep -q https || exit 0; sleep 0.2; done; exit 1"
)

ROUNDS: Mapping[str, Sequence[Tampering]] = {
    "files": (
        Tampering(
            "the cache runs with a forged certificate",
            MIRROR,
            f"sed 1,/END/d {PEM} >/tmp/key && openssl req -x509 -key /tmp/key -subj /CN=forged -days 9"
            f" >{PEM} && cat /tmp/key >>{PEM} && docker restart {CACHE}",
            {f"{MIRROR}-certificate": "update", **REPLACED},
            [f"{PEM}: content changed", "it runs on files that were replaced meanwhile"],
            f"openssl s_client -connect localhost:443 </dev/null 2>&1 | grep -q 'CN = {MIRROR}'",
        ),
        Tampering(
            "the rules' file may be written by everybody",
            MIRROR,
            f"chmod 666 {RULES}",
            _step(f"{MIRROR}-firewall"),
            [f"{RULES}: mode 666 instead of 600"],
            f"test $(stat -c %a {RULES}) = 600",
        ),
        Tampering(
            "a line of the repository's file is edited",
            MIRROR,
            f"sed -i s/gpgcheck=1/gpgcheck=0/ {REPO}",
            _step(f"{MIRROR}-docker-engine"),
            [f"{REPO}: content changed", "    -gpgcheck=1", "    +gpgcheck=0"],
            f"grep -qx gpgcheck=1 {REPO} && ! grep -q gpgcheck=0 {REPO}",
        ),
        Tampering(
            "the credentials' file has another owner",
            MIRROR,
            f"chown root:root {CREDENTIALS}",
            _step(f"{MIRROR}-credentials-docker.io"),
            [f"{CREDENTIALS}: owner 0:0 instead of 1000:1000"],
            f"test $(stat -c %u:%g {CREDENTIALS}) = 1000:1000",
        ),
        Tampering(
            "the CA is gone from where Docker looks for it",
            CLIENT,
            "rm /etc/docker/certs.d/*/ca.crt",
            _step(f"{CLIENT}-mirror-client"),
            ["/ca.crt: gone"],
            f"cmp {CA} /etc/docker/certs.d/*/ca.crt",
        ),
        Tampering(
            "a script of ours is edited",
            MIRROR,
            f"echo : >>{SCRIPT}",
            _step(f"{MIRROR}-scripts"),
            [f"{SCRIPT}: content changed"],
            f'test "$(tail -n 1 {SCRIPT})" != :',
        ),
    ),
    "what is gone": (
        Tampering(
            "the engine's package is removed",
            MIRROR,
            "rpm -e --nodeps docker-ce",
            _step(f"{MIRROR}-docker-engine"),
            ["package docker-ce: gone", "docker.service: inactive enabled instead of"],
            f"rpm -q docker-ce && systemctl is-active docker && {CONTAINER_RIGHT}",
        ),
        Tampering(
            "the firewall's table is deleted",
            MIRROR,
            f"nft delete table {TABLE}",
            _step(f"{MIRROR}-firewall"),
            [f"the firewall's table {TABLE}: gone"],
            f"nft list table {TABLE} | grep 'counter.*drop'",
        ),
        Tampering(
            "the data belong to somebody else",
            MIRROR,
            f"chown root:root {DATA}",
            _step(f"{MIRROR}-configuration-docker.io"),
            [f"{DATA}: 0:0 instead of 1000:1000"],
            f"test $(stat -c %u:%g {DATA}) = 1000:1000",
        ),
        Tampering(
            "the mirror is taken out of daemon.json",
            CLIENT,
            WITHOUT_MIRROR,
            _step(f"{CLIENT}-mirror-client"),
            [f"{DAEMON_JSON}: without https://"],
            f"grep -q https:// {DAEMON_JSON}",
        ),
    ),
    "what is otherwise": (
        Tampering(
            "a pinned package has another version",
            MIRROR,
            f"yum downgrade -y -q docker-ce-cli-{DOCKER_OLD}",
            _step(f"{MIRROR}-docker-engine"),
            [f"package docker-ce-cli: {DOCKER_OLD} instead of {DOCKER_NEW}"],
            f"test $(rpm -q --qf '%{{VERSION}}' docker-ce-cli) = {DOCKER_NEW}",
        ),
        Tampering(
            "the firewall's unit is disabled",
            MIRROR,
            "systemctl disable -q registry-cache-firewall",
            _step(f"{MIRROR}-firewall"),
            ["registry-cache-firewall.service: active disabled instead of active enabled"],
            "systemctl is-enabled registry-cache-firewall",
        ),
        Tampering(
            "the firewall's table lets everybody in",
            MIRROR,
            f"nft insert rule {TABLE} caches tcp dport 443 accept",
            _step(f"{MIRROR}-firewall"),
            [f"the firewall's table {TABLE}: changed", "tcp dport 443 accept"],
            f"! nft list table {TABLE} | grep 'dport 443 accept'",
        ),
        Tampering(
            "the prober's timer is disabled",
            MIRROR,
            "systemctl disable -q registry-cache-upstreams.timer",
            _step(f"{MIRROR}-upstreams"),
            ["registry-cache-upstreams.timer: active disabled instead of active enabled"],
            "systemctl is-enabled registry-cache-upstreams.timer",
        ),
        Tampering(
            "the container is stopped",
            MIRROR,
            f"docker stop -t 5 {CACHE}",
            _step(f"{MIRROR}-answers-docker.io"),
            [f"the container {CACHE}: exited instead of running"],
            CONTAINER_RIGHT,
        ),
        Tampering(
            "the running Docker has lost the mirror, and its file has it",
            CLIENT,
            f"cp -p {DAEMON_JSON} /tmp/kept && {WITHOUT_MIRROR} && ({UNTIL_FORGOTTEN})"
            f" && mv /tmp/kept {DAEMON_JSON}",
            _step(f"{CLIENT}-mirror-client"),
            ["the running Docker's mirrors: none instead of https://"],
            "docker info -f '{{json .RegistryConfig.Mirrors}}' | grep https",
        ),
    ),
    "what is taken away": (
        Tampering(
            "the container is removed",
            MIRROR,
            f"docker inspect -f '{{{{.Id}}}}' {CACHE} >/run/removed && docker rm -f {CACHE}",
            {f"{MIRROR}-configuration-docker.io": "update", **REPLACED},
            [f"the container {CACHE}: gone"],
            # The official provider needs something to remove.
            f"{CONTAINER_RIGHT} && docker events --since 15m --until 0s --filter type=container"
            " --filter event=destroy --format '{{.Actor.Attributes.name}}' | grep -qxFf /run/removed",
        ),
        Tampering(
            "IPv6 is shut out by the host's own firewall",
            MIRROR,
            f'firewall-cmd -q --remove-rich-rule="{FIREWALLD_RULE}"',
            _step(f"{MIRROR}-firewall"),
            ["the opening (firewalld fd", "closed instead of open"],
            f'firewall-cmd -q --query-rich-rule="{FIREWALLD_RULE}"',
        ),
        Tampering(
            "Docker is stopped",
            CLIENT,
            "systemctl stop docker.socket docker.service",
            _step(f"{CLIENT}-docker-engine"),
            ["docker.service: inactive enabled instead of active enabled"],
            "systemctl is-active docker",
        ),
    ),
    "what is made by hand": (
        Tampering(
            "another container goes by the cache's name",
            MIRROR,
            f"image=$(docker inspect -f '{{{{.Image}}}}' {CACHE}) && docker rm -f {CACHE}"
            f" && docker run -d --name {CACHE} -p 443:5000 --user 0 $image",
            {f"{MIRROR}-configuration-docker.io": "update", **REPLACED},
            [f"the container {CACHE}: another container", "    -user 1000:1000", "    +user 0"],
            f"{CONTAINER_RIGHT} && test $(docker ps -aq | wc -l) = 2"
            " && ! docker image inspect registry-cache.stand-in",
        ),
        Tampering(
            "the collector's timer is stopped",
            MIRROR,
            "systemctl stop registry-cache-collect.timer",
            _step(f"{MIRROR}-collector"),
            ["registry-cache-collect.timer: inactive enabled instead of active enabled"],
            "systemctl is-active registry-cache-collect.timer",
        ),
        Tampering(
            "Docker is disabled",
            CLIENT,
            "systemctl disable -q docker",
            _step(f"{CLIENT}-docker-engine"),
            ["docker.service: active disabled instead of active enabled"],
            "systemctl is-enabled docker",
        ),
        Tampering(
            "the clients' CA is another one",
            CLIENT,
            f"sed -i '2s/.*/forged/' {CA}",
            _step(f"{CLIENT}-mirror-client"),
            [f"{CA}: content changed", "    +forged"],
            f"cmp {CA} /etc/docker/certs.d/*/ca.crt",
        ),
    ),
    "what runs otherwise": (
        Tampering(
            "the container is not started with its host any more",
            MIRROR,
            f"docker update --restart=no {CACHE}",
            REPLACED,
            [f"the settings of the container {CACHE}: changed", "    -restart always", "    +restart no"],
            CONTAINER_RIGHT,
        ),
        Tampering(
            "the certificate's file is gone",
            MIRROR,
            f"rm {PEM}",
            _step(f"{MIRROR}-certificate"),
            [f"{PEM}: gone"],
            f"openssl x509 -noout -in {PEM} && test $(stat -c %a {PEM}) = 400",
        ),
        Tampering(
            "the firewall's unit is edited",
            MIRROR,
            f"sed -i /^ExecStop/d {UNIT} && systemctl daemon-reload",
            _step(f"{MIRROR}-firewall"),
            [f"{UNIT}: content changed", f"    -ExecStop=/usr/sbin/nft delete table {TABLE}"],
            f"systemctl show -p ExecStop registry-cache-firewall | grep -q {TABLE.split()[1]}",
        ),
    ),
}


@dataclass
class Plan:
    """What a plain preview shows."""

    changes: dict[str, str]
    said: dict[str, str]
    """By resource."""

    @classmethod
    def of(cls, stage: Stage) -> Plan:
        answer: dict[str, Any] = json.loads(stage.project.cli("preview", "--json").stdout)
        changes = {
            step["urn"].rsplit("::", 1)[-1]: step["op"]
            for step in answer["steps"]
            if step["op"] not in {"same", "read"}
        }
        said: dict[str, str] = {}
        for entry in answer.get("diagnostics", []):
            name = entry.get("urn", "").rsplit("::", 1)[-1]
            said[name] = said.get(name, "") + entry["message"]
        return cls(changes, said)


@dataclass
class Round:
    """What came of a round of tamperings, all done at once, one preview, and one `up`."""

    plan: Plan
    clean: Result
    wrong: dict[str, tuple[bool, bool]]
    """By tampering: whether things were not right after it, and whether they were after the `up`."""
    touched: dict[str, str]
    """What is not as it was before the tamperings, by host and path."""
    strangers: dict[str, tuple[str, str]]
    """The process of somebody's container after the tamperings and after the `up`, by host."""


@dataclass
class Rounds:
    """The rounds, each done when it is first asked for."""

    stage: Stage
    done: dict[str, Round] = field(default_factory=dict)

    def of(self, name: str) -> Round:
        if name not in self.done:
            self.done[name] = self._do(ROUNDS[name])
        return self.done[name]

    def _do(self, tamperings: Sequence[Tampering]) -> Round:
        before = self._files()
        for tampering in tamperings:
            self._host(tampering.host).run(tampering.command)
        wrong = {tampering.name: not self._is_right(tampering) for tampering in tamperings}
        strangers = self._strangers()
        plan = Plan.of(self.stage)
        self.stage.up()
        clean = self.stage.project.preview("--expect-no-changes", check=False)
        return Round(
            plan,
            clean,
            {tampering.name: (wrong[tampering.name], self._is_right(tampering)) for tampering in tamperings},
            differences(before, self._files()),
            {name: (process, self._strangers()[name]) for name, process in strangers.items()},
        )

    def _host(self, name: str) -> LabHost:
        return self.stage.lab.host(name)

    def _is_right(self, tampering: Tampering) -> bool:
        return self._host(tampering.host).run(tampering.right, check=False).code == 0

    def _files(self) -> dict[str, str]:
        return {
            f"{name} {path}": about
            for name in (MIRROR, CLIENT)
            for path, about in files_of(self._host(name)).items()
        }

    def _strangers(self) -> dict[str, str]:
        # A command for a Docker that is stopped would start it.
        ask = (
            "systemctl is-active -q docker && "
            "docker inspect -f '{{.State.StartedAt}} {{.State.Pid}}' somebodys"
        )
        return {name: self._host(name).run(ask, check=False).stdout for name in (MIRROR, CLIENT)}


EACH = [
    pytest.param(name, tampering, id=tampering.name)
    for name, round_ in ROUNDS.items()
    for tampering in round_
]


@pytest.fixture(scope="module")
def rounds(lab: Lab, plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rounds]:
    """A stack with a pinned Docker, on hosts where somebody runs a container."""
    lab.renew([MIRROR, CLIENT])
    stage = Stage.of(lab, tmp_path_factory.mktemp("drift") / "clone", plugins, [MIRROR], [CLIENT])
    clients = [{**client, "docker": "install"} for client in stage.settings["clients"]]
    stage.set(clients=clients, docker={"version": DOCKER_NEW})
    try:
        stage.up()
        for name in (MIRROR, CLIENT):
            run_container(lab.host(name), "somebodys")
            lab.host(name).run("docker update --restart=always somebodys")
        yield Rounds(stage)
    finally:
        stage.project.destroy(check=False)


@pytest.mark.parametrize(("name", "tampering"), EACH)
def test_a_plain_preview_names_what_was_changed(rounds: Rounds, name: str, tampering: Tampering) -> None:
    done = rounds.of(name)

    assert done.wrong[tampering.name][0], "the tampering did something"
    assert {step: done.plan.changes.get(step) for step in tampering.steps} == tampering.steps
    said = "".join(done.plan.said.get(step, "") for step in tampering.steps)
    for words in tampering.said:
        assert words in said
    assert f"changed on {tampering.host} since the last up: " in said


@pytest.mark.parametrize(("name", "tampering"), EACH)
def test_one_up_puts_it_right(rounds: Rounds, name: str, tampering: Tampering) -> None:
    assert rounds.of(name).wrong[tampering.name][1]


@pytest.mark.parametrize("name", ROUNDS)
def test_no_other_step_runs(rounds: Rounds, name: str) -> None:
    expected: dict[str, str] = {}
    for tampering in ROUNDS[name]:
        expected |= tampering.steps
    assert rounds.of(name).plan.changes == expected


@pytest.mark.parametrize("name", ROUNDS)
def test_the_preview_after_is_clean(rounds: Rounds, name: str) -> None:
    clean = rounds.of(name).clean
    assert clean.code == 0, clean.text
    assert "warning" not in clean.text


@pytest.mark.parametrize("name", ROUNDS)
def test_nothing_else_on_the_hosts_is_touched(rounds: Rounds, name: str) -> None:
    done = rounds.of(name)

    others = {
        path: change for path, change in done.touched.items() if not path.split(" ", 1)[1].startswith(NOTED)
    }
    assert others == {}
    for host, (before, after) in done.strangers.items():
        assert after == before or (before == "" and after != ""), f"somebody's container on {host} runs on"


@pytest.mark.parametrize("name", ROUNDS)
def test_nothing_secret_is_shown(rounds: Rounds, name: str) -> None:
    assert "PRIVATE KEY" not in str(rounds.of(name).plan.said)
    assert "Username" not in str(rounds.of(name).plan.said)
