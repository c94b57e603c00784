"""Mistakes in a stack file, as the person at the CLI meets them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from tests.pulumi_project import STACK, Project
from tests.unit.settings_sample import ED25519_KEY, SAMPLE, make_home, read

CloneProject = Callable[[Mapping[str, object]], Project]


@pytest.fixture
def project(clone_project: CloneProject, tmp_path: Path) -> Project:
    """The clone's program with a right configuration of hosts that do not answer."""
    make_home(tmp_path / "user")
    raw = read(SAMPLE) | {"ssh": {"privateKeyFile": str(tmp_path / "user/.ssh/id_ed25519")}}
    return clone_project({f"registry-cache:{key}": value for key, value in raw.items()})


def stack_file(project: Project) -> Path:
    return project.directory / f"Pulumi.{STACK}.yaml"


def add(project: Project, lines: str) -> None:
    """Add to the stack file's config what a person would write there, as text."""
    file = stack_file(project)
    head, config, rest = file.read_text().partition("config:\n")
    file.write_text(head + config + lines + rest)


def test_a_right_configuration_previews_without_any_host(project: Project) -> None:
    planned = project.planned()
    assert {step["op"] for step in planned} <= {"create", "read"}
    assert len(planned) > 10


def test_all_mistakes_stand_in_one_message_and_no_resource_is_declared(project: Project) -> None:
    add(
        project,
        """  registry-cache:cache: {directory: data, limit: 10}
  registry-cache:upstreams: [{registry: docker.io/library}]
  registry-cache:tls: {mode: sef-signed}
  registry-cache:acess: {networks: [203.0.113.0/24]}
""",
    )
    result = project.preview(check=False)
    assert result.code != 0
    for said in (
        "The configuration has 5 mistakes; nothing was touched:",
        "upstreams[0].registry is 'docker.io/library', with a path; write docker.io",
        "tls.mode is 'sef-signed'; write self-signed, own or off",
        "cache.directory is 'data', a relative directory",
        "cache.limit is 10, a size without a unit",
        "acess is not a known key; did you mean access?",
    ):
        assert said in result.text
    assert "Traceback" not in result.text
    assert "Command" not in result.text, "no resource is declared"


def test_yaml_as_the_cli_reads_it_means_what_was_written(project: Project) -> None:
    """The CLI's YAML reader and PyYAML differ in what a bare off is."""
    add(
        project,
        """  registry-cache:tls: {mode: off}
  registry-cache:mirrorsAreClients: false
  registry-cache:upstreams: [{registry: docker.io, port: "5000"}]
  registry-cache:cache: {ttl: 0}
""",
    )
    result = project.preview()
    assert "tls.mode is off" in result.text, "the warning about plain http is shown"
    assert "mirror-1-client" not in result.text


def test_an_included_file_is_read_and_its_mistakes_name_it(project: Project) -> None:
    (project.directory / "more.yaml").write_text("cache: {ttl: 24h}\nproxy: {https: proxy.example}\n")
    add(project, "  registry-cache:include: more.yaml\n")
    result = project.preview(check=False)
    assert "more.yaml: proxy.https is not a URL" in result.text
    (project.directory / "more.yaml").write_text("cache: {ttl: 24h}\n")
    assert project.preview().code == 0


def test_what_all_stacks_share_stands_in_the_projects_file_alone(project: Project) -> None:
    """Pulumi itself takes a stack's section in place of the project's whole one."""
    file = project.directory / "Pulumi.yaml"
    shared = yaml.safe_load(file.read_text())
    shared["config"]["cache"]["default"] = {"ttl": "24h", "directory": "/data/shared"}
    file.write_text(yaml.safe_dump(shared))
    add(project, "  registry-cache:cache: {ttl: 48h}\n")
    text = project.preview("--show-full-output").text
    assert re.search(r"ttl\W*: 172800", text), "48 hours in seconds"
    assert "/data/shared/docker.io" in text


def test_a_wrong_stack_says_nothing_of_its_secret_password(project: Project) -> None:
    add(project, "  registry-cache:upstreams: [{registry: docker.io, username: reader, prot: 443}]\n")
    project.cli(
        "config", "set", "--secret", "--path", "registry-cache:upstreams[0].password", stdin="open-sesame"
    )
    result = project.preview(check=False)
    assert "upstreams[0].prot is not a known key; did you mean port?" in result.text
    assert "sesame" not in result.text + stack_file(project).read_text()


def test_a_private_key_pasted_as_host_key_is_not_shown(project: Project) -> None:
    secret = ED25519_KEY.split()[1]
    pasted = f"-----BEGIN OPENSSH {'PRIVATE'} KEY-----\n{secret}"
    config = yaml.safe_load(stack_file(project).read_text())["config"]
    client = {"name": "web-1", "address": "web-1.example", "hostKey": pasted}
    project.configure({**config, "registry-cache:clients": [client]})
    result = project.preview(check=False)
    assert "clients[0].hostKey is a private key" in result.text
    assert secret not in result.text
