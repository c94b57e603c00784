"""Only the allowed networks reach a mirror, whatever firewall its host has; rules of others stay."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab import Lab
from lab.machine import LabHost
from tests.lab.mirror_watch import status_of, watching, ways_in
from tests.lab.program_stage import Stage

# firewalld; iptables-services; none, with iptables at /sbin only; iptables-services with Docker there before.
MIRRORS = ("mirror-1", "mirror-2", "mirror-3", "client-2")
IPTABLES_SERVICES = ("mirror-2", "client-2")
OTHERS_RULES = {
    "iptables": "-A INPUT -s 198.51.100.7/32 -p tcp -m tcp --dport 9999 -j ACCEPT",
    "ip6tables": "-A INPUT -s 2001:db8:7::/64 -p tcp -m tcp --dport 9999 -j ACCEPT",
}
OTHERS_RICH_RULE = 'rule family="ipv4" source address="198.51.100.7" port port="9999" protocol="tcp" drop'
OTHERS_TABLE = (
    "table inet somebodys { chain theirs { type filter hook input priority 5; tcp dport 9999 drop; }; }"
)
# The lab's package nftables is empty, as its hosts have the program already; so yum is told to put it back.
NFT_COMES_WITH_ITS_PACKAGE = """
import os
import dnf

class Nft(dnf.Plugin):
    name = "nft"

    def transaction(self):
        if any(package.name == "nftables" for package in self.base.transaction.install_set):
            os.rename("/usr/sbin/nft.away", "/usr/sbin/nft")
"""
ADMIN_PATH = "PATH=$PATH:/usr/sbin:/sbin; "
LEAVING_NETWORK = "2001:db8:50::/64"
COMING_NETWORKS = ["198.51.100.0/24", "2001:db8:51::/64"]


@dataclass
class Walls:
    """A stack of mirrors, with a client inside and a stranger outside of the allowed networks."""

    stage: Stage
    files: dict[str, str] = field(default_factory=dict)
    rules: dict[str, str] = field(default_factory=dict)

    def host(self, name: str) -> LabHost:
        return self.stage.lab.host(name)

    def urls(self, name: str) -> tuple[str, str]:
        host = self.host(name)
        return f"https://{host.address}/v2/", f"https://[{host.address6}]/v2/"

    def assert_shut(self, name: str) -> None:
        """The stranger gets no answer, over either IP version."""
        assert ways_in(self.host("stranger"), self.urls(name)) == []

    def assert_guarded(self, name: str) -> None:
        """Allowed clients get in and the stranger does not, over both IP versions."""
        for url in self.urls(name):
            assert status_of(self.host("client-1"), url) == "200", url
        self.assert_shut(name)


def _files(host: LabHost) -> str:
    """The firewalls' own files, with their times; Docker's zone and policy are Docker's to write."""
    found = "find /etc/firewalld /etc/sysconfig -type f ! -name 'docker*' 2>/dev/null | sort"
    return host.run(f"{found} | xargs -r sha256sum; {found} | xargs -r stat -c '%n %a %U %Y'").stdout


def _rules_of_others(host: LabHost) -> str:
    """What others have in the packet filter: all but Docker's, ours, and the counters."""
    table = "nft list table inet somebodys || nft.away list table inet somebodys"
    every = f"iptables-save; ip6tables-save; {table}; firewall-cmd --zone=public --list-all"
    return host.run(
        f"{ADMIN_PATH}{{ {every}; }} 2>/dev/null "
        r"| sed -E 's/\[[0-9:]+\]//; /^(#|COMMIT|\*|:)/d; /DOCKER|docker|172\.1[0-9]\.|registry-cache|443/d'"
    ).stdout


def _prepare(lab: Lab) -> None:
    """Has rules of other people in each host's firewall, and no nft on mirror-3."""
    firewalld = lab.host("mirror-1")
    firewalld.run(
        f"firewall-cmd -q --permanent --add-rich-rule='{OTHERS_RICH_RULE}'; firewall-cmd -q --reload"
    )
    for name in IPTABLES_SERVICES:
        for program, rule in OTHERS_RULES.items():
            # With another table before the one for packets, the first COMMIT is not that one's.
            lab.host(name).run(
                f"sed -i -e '0,/^COMMIT/s,^COMMIT,{rule}\\nCOMMIT,' "
                f"-e '1i *mangle\\n:PREROUTING ACCEPT [0:0]\\nCOMMIT' /etc/sysconfig/{program}"
            )
        lab.host(name).run(
            "systemctl restart iptables ip6tables docker || systemctl restart iptables ip6tables"
        )
    bare = lab.host("mirror-3")
    bare.run(f"{ADMIN_PATH}nft '{OTHERS_TABLE}' && mv /usr/sbin/nft /usr/sbin/nft.away")
    bare.run("cat >/usr/lib/python3/dist-packages/dnf-plugins/nft.py", NFT_COMES_WITH_ITS_PACKAGE)


@pytest.fixture(scope="module")
def walls(lab: Lab, plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walls]:
    lab.renew(MIRRORS)
    lab.up(["client-1", "stranger"])
    _prepare(lab)
    directory = tmp_path_factory.mktemp("walls") / "clone"
    stage = Stage.of(lab, directory, plugins, MIRRORS, ["client-1"], mirrorsAreClients=False)
    stage.set(access={"networks": [*lab.network.allowed, LEAVING_NETWORK]})
    walls = Walls(stage)
    for name in MIRRORS:
        walls.files[name] = _files(lab.host(name))
        walls.rules[name] = _rules_of_others(lab.host(name))
    try:
        stage.up()
        yield walls
    finally:
        stage.project.destroy(check=False)
        for name in ("mirror-2", "mirror-3", "stranger"):
            lab.host(name).stop()


@pytest.mark.parametrize("name", MIRRORS)
def test_an_allowed_client_gets_an_answer_and_a_stranger_none_over_ipv4_and_ipv6(
    walls: Walls, name: str
) -> None:
    walls.assert_guarded(name)


def test_a_missing_nft_was_installed(walls: Walls) -> None:
    host = walls.host("mirror-3")

    assert host.run("rpm -q nftables").code == 0
    assert "registry_cache" in host.run(f"{ADMIN_PATH}nft list tables").stdout


@pytest.mark.parametrize("name", MIRRORS)
def test_the_rules_of_others_stand_as_before_beside_ours(walls: Walls, name: str) -> None:
    assert "9999" in walls.rules[name] or name == "mirror-3"
    assert _rules_of_others(walls.host(name)) == walls.rules[name]


@pytest.mark.parametrize("name", IPTABLES_SERVICES)
def test_a_line_for_each_ipv6_network_is_all_that_the_files_of_iptables_get(walls: Walls, name: str) -> None:
    host = walls.host(name)
    before = dict(line.split("  ", 1)[::-1] for line in walls.files[name].splitlines() if "  /" in line)

    assert before["/etc/sysconfig/iptables"] in _files(host)
    lines = host.read("/etc/sysconfig/ip6tables").decode().splitlines()
    ours = [line for line in lines if "443" in line]
    assert sorted(ours) == sorted(
        f"-I INPUT -s {network} -p tcp -m tcp --dport 443 -m comment --comment registry-cache -j ACCEPT"
        for network in (walls.stage.lab.network.allowed[1], LEAVING_NETWORK)
    )
    assert min(map(lines.index, ours)) > lines.index("*filter"), "in the table for packets"
    assert not [line for line in lines if "DOCKER" in line]


@pytest.mark.parametrize(
    "order",
    [
        "firewall-cmd --reload",
        "firewall-cmd --complete-reload",
        "systemctl restart firewalld",
        "systemctl restart docker",
        "systemctl restart firewalld; systemctl restart docker",
        "systemctl restart docker; systemctl restart firewalld",
    ],
)
def test_the_limit_holds_over_reloads_and_restarts_with_firewalld(walls: Walls, order: str) -> None:
    walls.host("mirror-1").run(order)

    walls.assert_guarded("mirror-1")


@pytest.mark.parametrize("name", IPTABLES_SERVICES)
def test_the_limit_holds_over_restarts_with_iptables_services(walls: Walls, name: str) -> None:
    host = walls.host(name)

    host.run("systemctl restart docker; systemctl restart iptables ip6tables")
    # That took Docker's own rules away as well, which only Docker puts back.
    walls.assert_shut(name)
    host.run("systemctl restart docker")
    walls.assert_guarded(name)


def test_the_limit_holds_where_the_nftables_service_flushes_everything(walls: Walls) -> None:
    host = walls.host("mirror-3")
    host.run("systemctl start nftables; systemctl restart registry-cache-firewall")

    for order in ("systemctl reload nftables", "systemctl restart nftables"):
        host.run(order)
        walls.assert_shut("mirror-3")
    host.run(f"{ADMIN_PATH}systemctl restart docker; nft '{OTHERS_TABLE}'")
    walls.assert_guarded("mirror-3")


def test_the_limit_holds_over_a_reboot_and_no_moment_of_it_is_open(walls: Walls) -> None:
    for name in MIRRORS:
        host, stranger = walls.host(name), walls.host("stranger")
        with watching(stranger, host.address, 443) as by4, watching(stranger, host.address6, 443) as by6:
            host.reboot()
            walls.assert_guarded(name)
        assert (by4.opened, by6.opened) == (0, 0), f"{name} was open to the stranger for a moment"
        assert by4.tried > 50
        assert by6.tried > 50
    walls.host("mirror-3").run(f"{ADMIN_PATH}nft '{OTHERS_TABLE}'")


def test_other_networks_are_an_update_in_place_with_no_moment_of_an_open_port(walls: Walls) -> None:
    allowed = [*walls.stage.lab.network.allowed, *COMING_NETWORKS]
    walls.stage.set(access={"networks": allowed})
    changes = walls.stage.changes()
    assert {changes[f"{name}-firewall"] for name in MIRRORS} == {"update"}
    assert not [name for name in changes if "container" in name], "the caches run on"

    with ExitStack() as watches:
        watch = [
            watches.enter_context(watching(walls.host(watcher), address, 443))
            for watcher in ("stranger", "client-1")
            for name in MIRRORS
            for address in (walls.host(name).address, walls.host(name).address6)
        ]
        walls.stage.up()

    strangers, clients = watch[: len(watch) // 2], watch[len(watch) // 2 :]
    assert [seen.opened for seen in strangers] == [0] * len(strangers)
    assert all(seen.opened > 20 for seen in clients), "the same watch sees an open port"
    for name in MIRRORS:
        rules = walls.host(name).run(f"{ADMIN_PATH}nft list table inet registry_cache").stdout
        assert all(network in rules for network in COMING_NETWORKS)
        assert LEAVING_NETWORK not in rules
        walls.assert_guarded(name)
    rich = walls.host("mirror-1").run("firewall-cmd --list-rich-rules").stdout
    assert rich.count('family="ipv6"') == 2
    assert LEAVING_NETWORK not in rich
    assert (
        LEAVING_NETWORK
        not in walls.host("mirror-2").run("ip6tables-save; cat /etc/sysconfig/ip6tables").stdout
    )


def test_a_destroy_leaves_the_firewalls_as_they_were_before(walls: Walls) -> None:
    # An administrator keeps what runs, ours and Docker's rules with it: theirs stay, ours go.
    saved = walls.host("client-2")
    saved.run("service ip6tables save")
    assert "registry-cache" in saved.read("/etc/sysconfig/ip6tables").decode()

    walls.stage.project.destroy()

    for name in MIRRORS:
        host = walls.host(name)
        assert _rules_of_others(host) == walls.rules[name], name
        everything = host.run(f"{ADMIN_PATH}nft list ruleset; ip6tables-save").stdout
        assert "registry_cache" not in everything
        assert "registry-cache" not in everything
        assert host.run("systemctl cat registry-cache-firewall", check=False).code != 0
        assert host.run("ls /var/lib/registry-cache /etc/registry-cache", check=False).stdout == ""
        if name != "client-2":
            assert _files(host) == walls.files[name], name
    after = saved.read("/etc/sysconfig/ip6tables").decode()
    assert "registry-cache" not in after
    assert OTHERS_RULES["ip6tables"] in after
