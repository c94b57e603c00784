"""`make adopt` as a person meets it: which hosts it asks, what it prints, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import yaml

from components.adoption import __main__ as command
from components.adoption.facts import HostFacts, parse
from components.lib.remote import HostFailed, Remote, Unreachable
from tests.unit.settings_sample import ED25519_KEY, make_home

RECORDINGS = Path(__file__).parent / "adoption_facts"
MIRROR, CLIENT = "10.213.222.23", "10.213.222.21"
WHAT_IS_THERE = {MIRROR: "firewalld-http", CLIENT: "client"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    make_home(home)
    monkeypatch.setenv("HOME", str(home))
    (home / ".ssh/known_hosts").write_text(
        "".join(f"{place} {ED25519_KEY}\n" for place in (MIRROR, CLIENT, f"[{CLIENT}]:2222", "192.0.2.9"))
    )
    return home


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Remote]:
    """The hosts that are asked; recorded ones answer, others do not."""
    hosts: list[Remote] = []

    def ask_all(
        remotes: Sequence[Remote], ask: Callable[[Remote], HostFacts]
    ) -> Mapping[str, HostFacts | HostFailed]:
        hosts.extend(remotes)
        return {remote.name: answer(remote) for remote in remotes}

    def answer(remote: Remote) -> HostFacts | HostFailed:
        name = WHAT_IS_THERE.get(remote.destination.partition("@")[2])
        return (
            parse((RECORDINGS / f"{name}.txt").read_text())
            if name
            else Unreachable(f"{remote.name}: no route")
        )

    monkeypatch.setattr(command, "ask_all", ask_all)
    return hosts


def test_hosts_given_by_address_get_their_places_by_what_is_on_them(
    home: Path, asked: list[Remote], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "Pulumi.office.yaml"

    code = command.main(["office", "--hosts", f"root@{CLIENT} {MIRROR}", "--out", str(out)])

    printed = capsys.readouterr().out
    assert code == 0, printed
    assert all("StrictHostKeyChecking=yes" in host.options for host in asked)
    assert all(f"KnownHostsCommand=/bin/echo %H {ED25519_KEY}" in host.options for host in asked)
    config = yaml.safe_load(out.read_text())["config"]
    assert [(entry["name"], entry["address"]) for entry in config["registry-cache:mirrors"]] == [
        ("mirror-1", MIRROR)
    ]
    assert [(entry["name"], entry["address"]) for entry in config["registry-cache:clients"]] == [
        ("client-1", CLIENT)
    ]
    assert "Checked: it loads as it stands" in printed
    assert "REGISTRY_STORAGE_FILESYSTEM_MAXSIZE does nothing" in " ".join(printed.split())


def test_a_user_and_a_port_of_ones_own_stay_in_the_stack(
    home: Path, asked: list[Remote], tmp_path: Path
) -> None:
    out = tmp_path / "new.yaml"
    command.main(["office", "--hosts", f"{MIRROR} deploy@{CLIENT}:2222", "--out", str(out)])
    client = yaml.safe_load(out.read_text())["config"]["registry-cache:clients"][0]
    assert (client["user"], client["port"]) == ("deploy", 2222)
    assert asked[1].sudo


def test_a_host_whose_key_is_not_known_is_not_asked(
    home: Path, asked: list[Remote], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["office", "--hosts", f"{MIRROR} root@203.0.113.99"]) == 2
    assert "no host key of 203.0.113.99" in capsys.readouterr().err
    assert asked == []


def test_a_host_that_does_not_answer_is_named_and_the_others_are_judged(
    home: Path, asked: list[Remote], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["office", "--hosts", f"{MIRROR} 192.0.2.9"]) == 3
    said = capsys.readouterr()
    assert "not seen: host-2: no route" in said.err
    assert "replaces:" in said.out


def test_a_file_that_is_there_is_not_written_over(
    home: Path, asked: list[Remote], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine.yaml"
    out.write_text("mine\n")
    command.main(["office", "--hosts", MIRROR, "--out", str(out)])
    assert out.read_text() == "mine\n"
    assert "stays as it is" in capsys.readouterr().err


def test_without_a_cache_there_is_no_stack(
    home: Path, asked: list[Remote], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["office", "--hosts", CLIENT]) == 0
    assert "Nothing to take over" in capsys.readouterr().out


def test_the_hosts_of_a_stack_file_are_asked_and_the_rest_of_it_stays(
    home: Path,
    asked: list[Remote],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also where it is not complete: who begins has no more than hosts."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "Pulumi.yaml").write_text((command.ROOT / "Pulumi.yaml").read_text())
    hosts = {
        "registry-cache:mirrors": [{"name": "old", "address": MIRROR, "hostKey": ED25519_KEY}],
        "registry-cache:clients": [{"name": "web", "address": CLIENT, "hostKey": ED25519_KEY}],
        "registry-cache:upstreams": [
            {"registry": "docker.io", "username": "ann", "password": {"secure": "AAAB"}}
        ],
    }
    (root / "Pulumi.office.yaml").write_text(yaml.safe_dump({"config": hosts, "encryptionsalt": "v1:x"}))
    monkeypatch.setattr(command, "ROOT", root)
    out = tmp_path / "out.yaml"

    assert command.main(["office", "--out", str(out)]) == 0

    written = yaml.safe_load(out.read_text())
    assert written["encryptionsalt"] == "v1:x"
    assert written["config"]["registry-cache:upstreams"][0]["password"] == {"secure": "AAAB"}
    assert written["config"]["registry-cache:mirrors"][0]["replaces"][0]["container"] == "registry-cache"
    assert "loads as it stands" in capsys.readouterr().out


def test_a_stack_without_a_file_needs_hosts(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: registry-cache\n")
    monkeypatch.setattr(command, "ROOT", tmp_path)
    assert command.main(["office"]) == 2
    assert "HOSTS=" in capsys.readouterr().err
