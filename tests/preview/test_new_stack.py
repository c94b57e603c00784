"""`make new-stack`: from answers or flags to a stack file and its preview, with real SSH on the loopback."""

from __future__ import annotations

import getpass
import io
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.lib import ssh_keys
from tests.preview.loopback_sshd import LoopbackSshd
from tests.pulumi_project import Project
from toolchain import host_keys, new_stack
from toolchain import stack_file as stack_text

StartSshd = Callable[..., LoopbackSshd]


@pytest.fixture
def project(
    clone_project: Callable[[Mapping[str, object]], Project], monkeypatch: pytest.MonkeyPatch
) -> Project:
    made = clone_project({})
    for variable, value in made.environment.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("STACK", "office")
    return made


@pytest.fixture
def pair(start_sshd: StartSshd) -> tuple[LoopbackSshd, LoopbackSshd]:
    """A mirror and a client that let the mirror's key in."""
    mirror, client = start_sshd(), start_sshd()
    allowed = (mirror.directory / "authorized_keys").read_text()
    (client.directory / "authorized_keys").write_text(allowed)
    return mirror, client


def place(server: LoopbackSshd) -> str:
    return f"{getpass.getuser()}@127.0.0.1:{server.port}"


def known_hosts(folder: Path, *servers: LoopbackSshd) -> Path:
    file = folder / "known_hosts"
    file.write_text("".join(f"[127.0.0.1]:{server.port} {server.host_key}\n" for server in servers))
    return file


def fingerprint(server: LoopbackSshd) -> str:
    """As ssh-keygen shows it on the host itself."""
    shown = subprocess.run(
        ["ssh-keygen", "-lf", str(server.directory / "host_key.pub")],
        capture_output=True,
        text=True,
        check=True,
    )
    return shown.stdout.split()[1]


def flags(mirror: LoopbackSshd, client: LoopbackSshd) -> list[str]:
    return [
        *("office", "--mirror", f"mirror-1={place(mirror)}", "--client", f"web-1={place(client)}"),
        *("--key", str(mirror.directory / "login_key"), "--network", "203.0.113.0/24"),
        *("--registry", "ghcr.io", "--limit", "50GiB"),
    ]


def stack_file(project: Project) -> Path:
    return project.directory / "Pulumi.office.yaml"


def settings(project: Project) -> dict[str, Any]:
    config = yaml.safe_load(stack_file(project).read_text())["config"]
    return {key.removeprefix("registry-cache:"): value for key, value in config.items()}


def test_flags_make_a_stack_that_previews_and_keeps_its_comments(
    project: Project, pair: tuple[LoopbackSshd, LoopbackSshd], capfd: pytest.CaptureFixture[str]
) -> None:
    mirror, client = pair
    right = [f"mirror-1={fingerprint(mirror)}", f"web-1={fingerprint(client)}"]
    given = [part for one in right for part in ("--fingerprint", one)]
    assert new_stack.main([*flags(mirror, client), *given], project.directory) == 0

    seen = capfd.readouterr()
    assert "2 host(s) let us in" in seen.err
    assert "to create" in seen.out
    assert "Policy Packs run:" in seen.out
    written = settings(project)
    assert written["mirrors"] == [
        {
            "name": "mirror-1",
            "address": "127.0.0.1",
            "user": getpass.getuser(),
            "port": mirror.port,
            "hostKey": " ".join(mirror.host_key.split()[:2]),
        }
    ]
    assert written["access"] == {"networks": ["203.0.113.0/24"]}
    assert written["upstreams"] == [{"registry": "docker.io"}, {"registry": "ghcr.io", "port": 5001}]
    assert written["cache"] == {"limit": "50GiB"}
    text = stack_file(project).read_text()
    assert "encryptionsalt: v1:" in text, "the preview has made the stack, and with it its salt"
    for comment in stack_text.ABOUT.values():
        assert f"  # {comment}\n" in text
    assert "office" in project.cli("stack", "ls").text


def test_the_dialogue_checks_each_answer_and_has_host_keys_confirmed(
    project: Project,
    sshd: LoopbackSshd,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    answers = [
        "two words",  # no login name
        getpass.getuser(),
        str(sshd.directory / "login_key"),
        "",  # no jump host
        "203.0.113.7",  # no network
        "203.0.113.0/24",
        "",
        f"mirror-1=127.0.0.1:{sshd.port}",
        "",
        "",  # no client
        "",  # no further registry
        "",  # no limit
        "y",
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(answers) + "\n"))
    assert new_stack.main(["office"], project.directory) == 0

    seen = capfd.readouterr().out
    assert "That is 'two words', which is not a login name; write a name such as root or deploy." in seen
    assert "for that one host write 203.0.113.7/32" in seen
    assert fingerprint(sshd) in seen
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in seen
    assert settings(project)["mirrors"][0]["hostKey"] == " ".join(sshd.host_key.split()[:2])
    assert "clients" not in settings(project)


def test_a_host_key_that_the_person_does_not_know_ends_it(
    project: Project, sshd: LoopbackSshd, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    answers = [
        "",
        str(sshd.directory / "login_key"),
        "",
        "203.0.113.0/24",
        "",
        place(sshd),
        "",
        "",
        "",
        "",
        "n",
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(answers) + "\n"))
    assert new_stack.main(["office"], project.directory) != 0
    assert "shows another host key than it should" in capfd.readouterr().err
    assert not stack_file(project).exists()


@pytest.mark.parametrize(
    ("given", "in_file", "said"),
    [
        ([], False, "nothing says which host key of mirror-1 (127.0.0.1) is right"),
        (["mirror-1=SHA256:AAAA"], False, "mirror-1 (127.0.0.1) shows another host key than it"),
        (["mirror-1=SHA256:AAAA"], True, "mirror-1 (127.0.0.1) shows another host key than it"),
    ],
)
def test_a_script_without_the_right_fingerprint_writes_nothing(
    project: Project,
    pair: tuple[LoopbackSshd, LoopbackSshd],
    tmp_path: Path,
    given: list[str],
    in_file: bool,
    said: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    given = [word for pair in given for word in ("--fingerprint", pair)]
    if in_file:
        given += ["--known-hosts", str(known_hosts(tmp_path, *pair))]
    assert new_stack.main([*flags(*pair), *given], project.directory) != 0
    seen = capfd.readouterr().err
    assert said in seen
    assert fingerprint(pair[0]) in seen, "so that it can be compared"
    assert not stack_file(project).exists()


@pytest.mark.parametrize("given", ["mirror-l=SHA256:AAAA", "mirror-1=sha256:AAAA"])
def test_a_fingerprint_of_no_host_is_not_passed_over(
    project: Project,
    pair: tuple[LoopbackSshd, LoopbackSshd],
    tmp_path: Path,
    given: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    arguments = [*flags(*pair), "--known-hosts", str(known_hosts(tmp_path, *pair))]
    assert new_stack.main([*arguments, "--fingerprint", given], project.directory) != 0
    assert f"--fingerprint {given} " in capfd.readouterr().err
    assert not stack_file(project).exists()


def test_a_known_hosts_file_says_which_keys_are_right_and_a_login_that_fails_ends_it(
    project: Project,
    pair: tuple[LoopbackSshd, LoopbackSshd],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    known = known_hosts(tmp_path, *pair)
    (pair[1].directory / "authorized_keys").write_text("")
    arguments = [*flags(*pair), "--known-hosts", str(known)]
    assert new_stack.main(arguments, project.directory) != 0
    seen = capfd.readouterr().err
    assert f"web-1 (127.0.0.1, port {pair[1].port}): the host refuses the login of" in seen
    assert "mirror-1 (" not in seen
    assert not stack_file(project).exists()


def test_hosts_behind_a_jump_host_are_asked_from_there(
    project: Project,
    pair: tuple[LoopbackSshd, LoopbackSshd],
    tmp_path: Path,
    start_sshd: StartSshd,
) -> None:
    jump = start_sshd()
    (jump.directory / "authorized_keys").write_text((pair[0].directory / "authorized_keys").read_text())
    known = known_hosts(tmp_path, *pair, jump)
    arguments = [*flags(*pair), "--known-hosts", str(known), "--jump", place(jump)]
    assert new_stack.main(arguments, project.directory) == 0
    assert settings(project)["ssh"]["jumpHost"]["hostKey"] == " ".join(jump.host_key.split()[:2])
    assert "Starting session: command" in jump.log()
    assert "direct-tcpip" in jump.log(), "the logins go through it too"


def test_every_mistake_is_told_before_any_host_is_asked(
    project: Project, sshd: LoopbackSshd, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["office", "--mirror", place(sshd), "--network", "203.0.113.7/24", "--limit", "50"]
    assert new_stack.main([*arguments, "--key", "nowhere"], project.directory) != 0
    seen = capfd.readouterr().err
    for said in ("access.networks[0] is '203.0.113.7/24'", "cache.limit is '50'", "ssh.privateKeyFile names"):
        assert said in seen
    assert "hostKey" not in seen
    assert sshd.connections() == 0
    assert not stack_file(project).exists()


def test_a_stack_file_that_is_there_stays_as_it_is(
    project: Project, pair: tuple[LoopbackSshd, LoopbackSshd], capfd: pytest.CaptureFixture[str]
) -> None:
    stack_file(project).write_text("# mine\n")
    assert new_stack.main(flags(*pair), project.directory) != 0
    assert "Pulumi.office.yaml is there already and stays as it is" in capfd.readouterr().err
    assert stack_file(project).read_text() == "# mine\n"
    with pytest.raises(FileExistsError):
        stack_text.write_new(project.directory, "office", "")


def test_the_passphrase_of_the_lab_never_encrypts_a_new_stack(
    project: Project,
    pair: tuple[LoopbackSshd, LoopbackSshd],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("STACK")
    assert new_stack.main(flags(*pair), project.directory) != 0
    assert "make new-stack NAME=office" in capfd.readouterr().err
    assert not stack_file(project).exists()


def test_an_address_where_no_sshd_answers_is_named() -> None:
    with pytest.raises(host_keys.NoHostKey, match=r"127\.0\.0\.1, port 1, shows no host key"):
        host_keys.shown_by("127.0.0.1", 1)


def test_fingerprints_are_those_of_ssh_keygen(sshd: LoopbackSshd) -> None:
    (shown,) = host_keys.shown_by("127.0.0.1", sshd.port)
    assert ssh_keys.fingerprint(shown) == fingerprint(sshd)


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("203.0.113.10", {"name": "m", "address": "203.0.113.10"}),
        (
            "web=deploy@web.example:2222",
            {"name": "web", "user": "deploy", "address": "web.example", "port": 2222},
        ),
        ("[2001:db8::1]:22", {"name": "m", "address": "2001:db8::1", "port": 22}),
        ("2001:db8::1", {"name": "m", "address": "2001:db8::1"}),
        ("web.example:ssh", {"name": "m", "address": "web.example", "port": "ssh"}),
    ],
)
def test_a_host_is_read_from_one_word(text: str, entry: dict[str, object]) -> None:
    assert new_stack.machine(text, default_name="m") == entry
