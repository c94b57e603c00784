"""Two environments of one project, staging and prod: a change goes to one and then to the other."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import Lab
from tests.lab.program_stage import ROOT, live_mirrors
from tests.pulumi_project import Project

HOSTS = {"staging": ("mirror-1", "client-1"), "prod": ("mirror-2", "client-2")}
OWN: dict[str, dict[str, Any]] = {
    "staging": {
        "cache": {"limit": "1GiB"},
        "upstreams": [
            {"registry": "docker.io", "username": "staging-reader"},
            {"registry": "registry.k8s.io", "port": 5001},
        ],
    },
    "prod": {
        "cache": {"limit": "2GiB"},
        "upstreams": [{"registry": "docker.io", "username": "prod-reader"}],
    },
}
LIMITS = {"staging": 2**30, "prod": 2 * 2**30}
PASSWORDS = {"staging": "word-of-staging", "prod": "word-of-prod"}  # pragma: allowlist secret
SHARED = ("ssh", "access", "registry", "verification")
RULES = ("--policy-pack", "policy")


@dataclass(frozen=True)
class Environment:
    """One of the two stacks, with a passphrase of its own."""

    name: str
    project: Project
    lab: Lab

    @property
    def mirror(self) -> str:
        return HOSTS[self.name][0]

    @property
    def client(self) -> str:
        return HOSTS[self.name][1]

    def kept(self) -> tuple[int, int]:
        """The mirror's limit in bytes, and for how many hours it keeps what it has."""
        settings = json.loads(self.lab.host(self.mirror).read("/etc/registry-cache/collect.json"))
        return settings["limit"], settings["ttl"] // 3600

    def up(self) -> None:
        """As `make up STACK=…`: with the rules."""
        self.project.up("--stack", self.name, *RULES)

    def changes(self) -> dict[str, str]:
        """What a preview would do, by resource, under the rules."""
        return {
            step["urn"].rsplit("::", 1)[-1]: step["op"]
            for step in self.project.planned("--stack", self.name, *RULES)
            if step["op"] not in {"same", "read"}
        }

    def destroy(self) -> None:
        """As `make down STACK=…`."""
        self.project.destroy("--stack", self.name, check=False)


def share(project: Project, sections: Mapping[str, object]) -> None:
    """Writes what both stacks have into Pulumi.yaml, and nowhere else."""
    file = project.directory / "Pulumi.yaml"
    content = yaml.safe_load(file.read_text())
    for key, value in sections.items():
        content["config"][key]["default"] = value
    file.write_text(yaml.safe_dump(content))


def environment(project: Project, lab: Lab, name: str) -> Environment:
    """A stack whose file has only what is its own."""
    passphrase = project.directory.with_name(f"passphrase-{name}")
    passphrase.write_text(f"the passphrase of {name}\n")
    mirror, client = HOSTS[name]
    whole = lab.stack([mirror], [client])
    own = {"mirrors": whole["mirrors"], "clients": whole["clients"], **OWN[name]}
    file = project.directory / f"Pulumi.{name}.yaml"
    file.write_text(yaml.safe_dump({"config": {f"registry-cache:{key}": own[key] for key in own}}))
    variables = {**project.environment, "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase)}
    apart = dataclasses.replace(project, environment=variables)
    apart.cli("stack", "init", name)
    path = "registry-cache:upstreams[0].password"
    apart.cli("config", "set", "--stack", name, "--secret", "--path", path, stdin=PASSWORDS[name])
    return Environment(name, apart, lab)


@pytest.fixture(scope="module")
def both(
    lab: Lab, plugins: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Environment]]:
    """Staging and prod, both up."""
    standing = set(lab.host_names())
    hosts = [name for pair in HOSTS.values() for name in pair]
    lab.renew(hosts)
    project = Project.of_clone(tmp_path_factory.mktemp("promotion") / "clone", plugins, ROOT, {})
    whole = lab.stack([], [])
    share(project, {**{key: whole[key] for key in SHARED}, "cache": {"ttl": "24h"}})
    environments = {name: environment(project, lab, name) for name in HOSTS}
    try:
        for one in environments.values():
            one.up()
        yield environments
    finally:
        for one in environments.values():
            one.destroy()
        lab.drop([name for name in hosts if name not in standing])


def test_each_has_its_own_hosts_upstreams_and_limit_and_what_both_share(both: dict[str, Environment]) -> None:
    for name, one in both.items():
        assert live_mirrors(one.lab.host(one.client)) == [f"https://{one.lab.host(one.mirror).address}"]
        assert one.kept() == (LIMITS[name], 24)
        outputs = one.project.cli("stack", "output", "--stack", one.name, "proofs").stdout
        assert f"{one.client} pulled library/nginx through {one.mirror}: " in outputs
        assert one.changes() == {}
    containers = {
        name: one.lab.host(one.mirror).run("docker ps --format '{{.Names}}' | sort").stdout.split()
        for name, one in both.items()
    }
    assert containers == {
        "staging": ["registry-cache-docker.io", "registry-cache-registry.k8s.io"],
        "prod": ["registry-cache-docker.io"],
    }


def test_the_secrets_of_one_are_not_to_be_read_with_the_passphrase_of_the_other(
    both: dict[str, Environment],
) -> None:
    path = ("--path", "registry-cache:upstreams[0].password")
    for name, one in both.items():
        assert one.project.cli("config", "get", "--stack", name, *path).stdout.strip() == PASSWORDS[name]
        (other,) = set(both) - {name}
        refused = one.project.cli("config", "get", "--stack", other, *path, check=False)
        assert refused.code != 0
        assert "incorrect passphrase" in refused.text
        state = "".join(file.read_text() for file in one.project.state.rglob("*.json"))
        assert PASSWORDS[name] not in state


def test_a_change_is_tried_on_staging_and_then_goes_to_prod(both: dict[str, Environment]) -> None:
    staging, prod = both["staging"], both["prod"]
    share(staging.project, {"cache": {"ttl": "48h"}})
    assert staging.changes() == {"mirror-1-collector": "update"}

    staging.up()

    assert staging.kept() == (LIMITS["staging"], 48)
    assert staging.changes() == {}
    assert prod.kept() == (LIMITS["prod"], 24)
    assert prod.changes() == {"mirror-2-collector": "update"}, "the same change waits for prod's approval"

    prod.up()

    assert prod.kept() == (LIMITS["prod"], 48)
    assert prod.changes() == {}
    assert staging.changes() == {}


def test_what_staging_may_prod_may_not(both: dict[str, Environment]) -> None:
    """Open to the world is a warning of the settings in staging, and the end of it in prod."""
    share(both["prod"].project, {"access": {"networks": ["0.0.0.0/0"]}})
    # A login at the upstream is refused there by the settings already.
    for name, one in both.items():
        file = one.project.directory / f"Pulumi.{name}.yaml"
        content = yaml.safe_load(file.read_text())
        content["config"]["registry-cache:upstreams"] = [{"registry": "docker.io"}]
        file.write_text(yaml.safe_dump(content))
    assert "mirror-1-firewall" in both["staging"].changes()
    refused = both["prod"].project.preview("--stack", "prod", *RULES, check=False)
    assert refused.code != 0
    assert "is open to 0.0.0.0/0, in the stack prod" in refused.text
