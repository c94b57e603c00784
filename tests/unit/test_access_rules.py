"""The firewall's ruleset, as nft is given it."""

from __future__ import annotations

import ipaddress

import pytest

from components.lib import access_rules


def test_only_the_allowed_networks_are_accepted_and_all_else_is_dropped() -> None:
    rules = access_rules.render([443], ["10.0.0.0/8", "fd00::/64"])
    chain = rules[rules.index("chain caches") : rules.index("chain before_docker")].splitlines()
    assert [line.strip() for line in chain[1:-2]] == [
        'iifname "lo" accept',
        "ip saddr { 10.0.0.0/8 } accept",
        "ip6 saddr { fd00::/64 } accept",
        "counter drop",
    ]


def test_a_family_without_a_network_is_dropped_whole() -> None:
    assert "ip6 saddr" not in access_rules.render([443], ["10.0.0.0/8"])
    assert "ip saddr" not in access_rules.render([443], ["fd00::/64"])


def test_what_only_passes_through_the_host_is_left_alone() -> None:
    """Else the cache's own way to the upstream's port 443 would be cut."""
    assert "fib daddr type local tcp dport { 443, 5001 } jump caches" in access_rules.render(
        [5001, 443], ["10.0.0.0/8"]
    )


def test_the_rules_replace_their_earlier_version_in_one_transaction() -> None:
    lines = access_rules.render([443], ["10.0.0.0/8"]).splitlines()
    start = lines.index("table inet registry_cache")
    assert lines[start + 1] == "delete table inet registry_cache"
    assert lines[start + 2] == "table inet registry_cache {"


@pytest.mark.parametrize(
    ("networks", "shown"),
    [
        (["10.0.0.0/8", "10.1.0.0/16"], "{ 10.0.0.0/8 }"),
        (["10.0.0.0/25", "10.0.0.128/25"], "{ 10.0.0.0/24 }"),
        (["192.0.2.7/32"], "{ 192.0.2.7/32 }"),
        (["0.0.0.0/0"], "{ 0.0.0.0/0 }"),
    ],
)
def test_overlapping_networks_are_merged_since_nft_refuses_them(networks: list[str], shown: str) -> None:
    assert f"ip saddr {shown} accept" in access_rules.render([443], networks)


def test_the_same_networks_in_another_order_are_no_change() -> None:
    networks = ["10.0.0.0/8", "192.0.2.0/24", "fd00::/64"]
    assert access_rules.render([443], networks) == access_rules.render([443], networks[::-1])


@pytest.mark.parametrize(
    ("networks", "everyone"),
    [
        (["0.0.0.0/0"], ["0.0.0.0/0"]),
        (["203.0.113.0/24", "::/0"], ["::/0"]),
        (["128.0.0.0/1", "0.0.0.0/1"], ["0.0.0.0/0"]),
        (["0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/3"], ["0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/3"]),
        (["2000::/3"], ["2000::/3"]),
        (["203.0.112.0/7"], ["202.0.0.0/7"]),
        (["2001::/15"], ["2000::/15"]),
        (["203.0.0.0/8", "2001::/16"], []),
        (["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"], []),
        (["10.0.0.0/8", "11.0.0.0/8"], []),
        ([], []),
    ],
)
def test_public_networks_of_a_continents_size_are_everyone(networks: list[str], everyone: list[str]) -> None:
    plain = [str(ipaddress.ip_network(network, strict=False)) for network in networks]
    assert access_rules.everyone_in(plain) == everyone


# Metrics

METRICS = access_rules.Metrics(9469, ["192.0.2.7/32", "2001:db8::/64"])


def chain_of(rules: str, name: str) -> list[str]:
    """The lines of one chain."""
    begin = rules.index(f"chain {name} {{")
    return [line.strip() for line in rules[begin : rules.index("\n  }", begin)].splitlines()[1:]]


def test_metrics_have_networks_of_their_own() -> None:
    rules = access_rules.render([443], ["10.0.0.0/8"], METRICS)
    assert chain_of(rules, "metrics") == [
        'iifname "lo" accept',
        "ip saddr { 192.0.2.7/32 } accept",
        "ip6 saddr { 2001:db8::/64 } accept",
        "counter drop",
    ]
    assert "fib daddr type local tcp dport 9469 jump metrics" in chain_of(rules, "before_docker")


def test_the_rules_for_the_caches_are_the_same_with_and_without_metrics() -> None:
    without, beside = (access_rules.render([443], ["10.0.0.0/8"], metrics) for metrics in (None, METRICS))
    assert chain_of(without, "caches") == chain_of(beside, "caches")
    added = set(beside.splitlines()) - set(without.splitlines())
    assert all("metrics" in line or "192.0.2.7" in line or "2001:db8" in line for line in added)
    assert "9469" not in without


def test_a_port_that_metrics_leave_is_shut_to_all_but_the_host_itself() -> None:
    rules = access_rules.render([443], ["10.0.0.0/8"], METRICS)
    last = chain_of(rules, "before_docker")[-1]
    assert last == 'iifname != "lo" fib daddr type local tcp dport @closed counter drop'


def test_the_hosts_firewall_opens_for_what_comes_through_input_and_nothing_else() -> None:
    networks = ["10.0.0.0/8", "fd00::/64"]
    assert access_rules.openings([443], networks, None) == ["fd00::/64=443"]
    assert access_rules.openings([5001, 443], networks, METRICS) == [
        "fd00::/64=443",
        "fd00::/64=5001",
        "192.0.2.7/32=9469",
        "2001:db8::/64=9469",
    ]
