"""The policy pack on the real engine: it passes the program, and stops one that breaks a rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.pulumi_project import Project
from tests.unit.settings_sample import ECDSA_KEY, SAMPLE, make_home, read

PACK = ("--policy-pack", "policy")
RAN = "Policy Packs run:"
PASSWORD = "open-sesame"  # pragma: allowlist secret

CloneProject = Callable[[Mapping[str, object]], Project]


@pytest.fixture
def project(clone_project: CloneProject, tmp_path: Path) -> Project:
    """The clone's program on hosts that do not answer, with a jump host and a login at the upstream."""
    make_home(tmp_path / "user")
    jump = {"address": "203.0.113.2", "hostKey": ECDSA_KEY}
    raw = read(SAMPLE) | {
        "ssh": {"privateKeyFile": str(tmp_path / "user/.ssh/id_ed25519"), "jumpHost": jump},
        "upstreams": [{"registry": "docker.io", "username": "reader"}],
        "tls": {"validDays": 90},
    }
    made = clone_project({f"registry-cache:{key}": value for key, value in raw.items()})
    made.set_secret_at("registry-cache:upstreams[0].password", PASSWORD)
    return made


def violated(project: Project, *arguments: str) -> dict[str, str]:
    """The rules that a preview under the pack found broken, with what was said; it must have failed."""
    result = project.preview(*PACK, *arguments, check=False)
    assert result.code != 0, result.text
    assert "error: preview failed" in result.text
    assert "Traceback" not in result.text
    assert PASSWORD not in result.text
    found = result.stdout.split(" [mandatory]  ")[1:]
    assert found, result.text
    said: dict[str, str] = {}
    for text in found:
        said[text.split()[0]] = said.get(text.split()[0], "") + text
    return said


def break_rule(project: Project, file: str, right: str, wrong: str) -> None:
    """Puts a slip into the copied program."""
    place = project.directory / file
    text = place.read_text()
    assert right in text, f"{file} no longer says {right!r}"
    place.write_text(text.replace(right, wrong))


def test_the_program_passes_and_no_warning_comes_with_it(project: Project) -> None:
    result = project.preview(*PACK)
    assert RAN in result.text
    assert "[mandatory]" not in result.text
    assert "[advisory]" not in result.text, "what is not known yet is no reason to say anything"
    assert "$PATH" not in result.text


SLIPS = {
    "ssh-host-keys, of a step": (
        ("components/host.py", "        host_key=login.host_key,\n", ""),
        "mirror-1-scripts: no host key is set in connection.hostKey",
    ),
    "ssh-host-keys, of a jump host": (
        ("components/host.py", "            host_key=jump.host_key,\n", ""),
        "no host key is set in connection.proxy.hostKey",
    ),
    "ssh-host-keys, of ssh": (
        ("components/lib/ssh_options.py", '"StrictHostKeyChecking": "yes"', '"StrictHostKeyChecking": "no"'),
        "StrictHostKeyChecking is not yes",
    ),
    "secrets": (
        ("components/registry_cache.py", "pulumi.Output.secret(login) if cache.password else login", "login"),
        "mirror-1-credentials-docker.io: stdin holds a login at an upstream that is not a secret",
    ),
    "images-by-digest": (
        ("components/registry_cache.py", "image=args.image_id,", 'image="registry:3",'),
        "mirror-1-docker.io-container: image is 'registry:3'",
    ),
    "no-triggers": (
        ("components/host.py", "            stdin=stdin,\n", "            stdin=stdin,\n triggers=[step],\n"),
        "mirror-1-firewall: triggers are set",
    ),
    "credentials-limited": (
        (
            "components/firewall.py",
            "render(args.ports, args.networks, ",
            'render(args.ports, ["0.0.0.0/0"], ',
        ),
        "a cache on 203.0.113.10 gets a login, and everyone may reach it",
    ),
    "certificates, of their time": (
        ("components/certificates.py", "args.valid_days * HOURS_A_DAY", "91 * HOURS_A_DAY"),
        "mirror-1-certificate: is valid for 91 days, more than tls.validDays (90)",
    ),
    "certificates, of their names": (
        (
            "components/certificates.py",
            "            dns_names=list(args.names.dns_names),\n"
            "            ip_addresses=list(args.names.ip_addresses),\n",
            "",
        ),
        "mirror-1-request: has no subject alternative name",
    ),
    "hardened-containers": (
        (
            "components/registry_cache.py",
            "read_only=True,\n            tmpfs",
            "read_only=False,\n            tmpfs",
        ),
        "mirror-1-docker.io-container: may write to its own files",
    ),
}


@pytest.mark.parametrize(("slip", "said"), SLIPS.values(), ids=SLIPS)
def test_a_program_that_breaks_a_rule_is_stopped(
    project: Project, slip: tuple[str, str, str], said: str, request: pytest.FixtureRequest
) -> None:
    break_rule(project, *slip)
    found = violated(project)
    rule = request.node.callspec.id.partition(",")[0]
    assert rule in found
    assert said in found[rule]


def test_a_mirror_open_to_the_world_is_stopped_in_prod_and_warned_of_elsewhere(
    clone_project: CloneProject, tmp_path: Path
) -> None:
    make_home(tmp_path / "user")
    raw = read(SAMPLE) | {
        "ssh": {"privateKeyFile": str(tmp_path / "user/.ssh/id_ed25519")},
        "access": {"networks": ["0.0.0.0/0"]},
    }
    project = clone_project({f"registry-cache:{key}": value for key, value in raw.items()})
    assert "access.networks has 0.0.0.0/0: everyone" in project.preview(*PACK).text
    project.cli("stack", "init", "prod", "--copy-config-from", "test")
    found = violated(project, "--stack", "prod")
    assert list(found) == ["production-not-open"]
    assert "port 443 of 203.0.113.10 is open to 0.0.0.0/0, in the stack prod" in found["production-not-open"]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ("triggers=['x']", "wrong: triggers are set"),
        (f"stdin='-----BEGIN {'PRIVATE'} KEY-----'", "wrong: stdin holds a private key that is not a secret"),
    ],
)
def test_an_up_stops_before_a_resource_that_breaks_a_rule_is_made(
    project: Project, inputs: str, said: str
) -> None:
    program = "from pulumi_command import local\nlocal.Command('wrong', create='touch made', INPUTS)\n"
    project.write(program.replace("INPUTS", inputs))
    result = project.up(*PACK, check=False)
    assert result.code != 0
    assert said in result.text
    assert not (project.directory / "made").exists()
    project.write(program.replace("INPUTS", "stdin='x'"))
    project.up(*PACK)
    assert (project.directory / "made").exists()
