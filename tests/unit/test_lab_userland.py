"""The lab on a real userland: what it is made of, and what it leaves out. Here no such host boots."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import Lab
from lab.errors import LabError
from lab.hosts import host_named
from lab.images import Built
from lab.keys import ensure_key
from lab.network import LabNetwork
from lab.pieces import host_pieces, real_host_pieces
from lab.userland import REAL, Userland, chosen, name_servers

ROCKY = REAL[1]


@pytest.mark.parametrize("environment", [{}, {"LAB_BASE": ""}, {"LAB_BASE": "prototype"}])
def test_without_a_word_the_hosts_are_the_prototypes(environment: dict[str, str]) -> None:
    assert chosen(environment) is None


@pytest.mark.parametrize("userland", REAL, ids=lambda userland: userland.name)
def test_a_real_userland_is_chosen_by_its_name_and_pinned_by_digest(userland: Userland) -> None:
    assert chosen({"LAB_BASE": userland.name}) == userland
    assert len(userland.image.partition("@sha256:")[2]) == 64


def test_any_image_may_be_the_base() -> None:
    image = "registry.example.org/el:10"
    assert chosen({"LAB_BASE": image}) == Userland("own", image)


def test_a_base_that_nobody_knows_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(LabError, match=r"'rocky7'.*prototype, rocky8, rocky9, alma9, or an image"):
        chosen({"LAB_BASE": "rocky7"})


@pytest.mark.parametrize("name", ["mirror-1", "mirror-2", "client-1", "client-2", "operated", "jump"])
def test_a_host_on_a_real_userland_needs_no_piece_of_the_prototype(name: str) -> None:
    (piece,) = real_host_pieces(host_named(name), ROCKY)
    assert piece.needs == ()
    assert dict(piece.settings)["BASE_IMAGE"] == ROCKY.image
    assert piece.name not in {other.name for other in host_pieces(host_named(name))}


def test_another_base_is_another_image() -> None:
    digests = {real_host_pieces(host_named("mirror-1"), userland)[0].digest([]) for userland in REAL}
    assert len(digests) == len(REAL)


@pytest.mark.parametrize("name", ["light-1", "blank-el7", "blank-el10"])
def test_hosts_that_play_something_have_no_real_userland(name: str) -> None:
    with pytest.raises(LabError, match=f"{name} is a host of the prototype's userland alone"):
        real_host_pieces(host_named(name), ROCKY)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (None, "nameserver 192.0.2.53\n", ["192.0.2.53"]),
        (
            "nameserver 192.0.2.1\nnameserver fe80::1%2\n",
            "nameserver 127.0.0.53\n",
            ["192.0.2.1", "fe80::1%2"],
        ),
        (
            "nameserver 127.0.0.53\n",
            "# none\nsearch x\nnameserver ::1\nnameserver 2001:db8::53\n",
            ["2001:db8::53"],
        ),
        ("nameserver\n", "options x\nnameserver 192.0.2.53 # office\n", ["192.0.2.53"]),
    ],
)
def test_the_hosts_ask_the_machines_name_servers_and_none_that_is_the_machine_itself(
    tmp_path: Path, first: str | None, second: str, expected: list[str]
) -> None:
    files = [tmp_path / "first", tmp_path / "second"]
    for file, text in zip(files, (first, second), strict=True):
        if text is not None:
            file.write_text(text)
    assert name_servers(files) == expected


def test_a_machine_that_asks_only_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    with pytest.raises(LabError, match="asks only itself"):
        name_servers([tmp_path / "resolv.conf"])


@pytest.fixture
def network() -> LabNetwork:
    import ipaddress

    return LabNetwork("lab", ipaddress.IPv4Network("10.213.9.0/24"), ipaddress.IPv6Network("fd00::/64"))


@pytest.mark.parametrize("userland", [None, ROCKY], ids=["prototype", "rocky9"])
def test_real_hosts_find_each_other_without_the_labs_names(
    tmp_path: Path, network: LabNetwork, userland: Userland | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAB_BASE", raising=False)
    lab = Lab("one", tmp_path, userland)
    spec = host_named("client-1")
    (tmp_path / "keys").mkdir()
    ensure_key(tmp_path / "keys" / spec.name, spec.name)
    made = lab._host(network, Built(tmp_path, "image", "id"), spec, "ssh-ed25519 AAAA")
    named = [
        value for option, value in zip(made.options, made.options[1:], strict=False) if option == "--add-host"
    ]
    if userland is None:
        assert named == []
    else:
        assert "mirror-1.lab.test:10.213.9.11" in named
        assert "mirror-1.lab.test:fd00::b" in named
        assert not [entry for entry in named if "docker" in entry], "the real names stay the real ones"


def test_with_the_real_docker_hub_the_program_takes_its_own_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_BASE", "rocky9")
    lab = Lab("one", tmp_path)
    assert lab.userland == ROCKY
    assert lab._stand_ins() == {}
    with pytest.raises(LabError, match=r"the upstream is the real docker\.io"):
        _ = lab.upstream
    with pytest.raises(LabError, match="Docker Hub's"):
        _ = lab.registry_images
