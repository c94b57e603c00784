"""Metrics are served to their networks and to nobody else, whatever the firewall, and leave no trace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab import Lab
from lab.machine import LabHost
from tests.lab.mirror_watch import watching, ways_in
from tests.lab.program_stage import Stage, differences, files_of

# firewalld; iptables-services.
MIRRORS = ("mirror-1", "mirror-2")
PORT, OTHER_PORT = 9469, 9470
DATA = "/home/registry"
FIREWALLS = ("/etc/firewalld", "/etc/sysconfig", "/etc/systemd/system", "/etc/registry-cache")


@dataclass
class Reached:
    """A stack whose metrics client-1 alone may read, though others may use the caches."""

    stage: Stage
    files: dict[str, dict[str, str]] = field(default_factory=dict)

    def host(self, name: str) -> LabHost:
        return self.stage.lab.host(name)

    @property
    def networks(self) -> list[str]:
        reader = self.host("client-1")
        return [f"{reader.address}/32", f"{reader.address6}/128"]

    def urls(self, port: int = PORT) -> list[str]:
        hosts = [self.host(name) for name in MIRRORS]
        return [f"http://{a}:{port}/metrics" for h in hosts for a in (h.address, f"[{h.address6}]")]

    def served_to(self, name: str, port: int = PORT) -> list[str]:
        """The addresses at which a host gets the metrics."""
        urls = self.urls(port)
        ask = " & ".join(
            f"{{ curl -gsf --max-time 10 {url} | grep -q ^registry_cache_upstream_up && echo {url}; }}"
            for url in urls
        )
        found = self.host(name).run(f"{ask} & wait").stdout.split()
        return sorted(found)


@pytest.fixture(scope="module")
def reached(lab: Lab, plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reached]:
    lab.renew(MIRRORS)
    lab.up(["client-1", "stranger"])
    directory = tmp_path_factory.mktemp("reached") / "clone"
    reached = Reached(Stage.of(lab, directory, plugins, MIRRORS, ["client-1"], mirrorsAreClients=False))
    for name in MIRRORS:
        reached.files[name] = files_of(lab.host(name), FIREWALLS)
    reached.stage.set(metrics={"networks": reached.networks}, cache={"directory": DATA})
    try:
        reached.stage.up()
        yield reached
    finally:
        reached.stage.project.destroy(check=False)
        for name in ("mirror-2", "stranger"):
            lab.host(name).stop()


def test_the_named_networks_read_the_metrics_and_no_other_host_gets_an_answer(reached: Reached) -> None:
    assert reached.served_to("client-1") == sorted(reached.urls())
    assert ways_in(reached.host("stranger"), reached.urls()) == []
    inside = [url for url in reached.urls() if f"/{reached.host('mirror-1').address}:" in url]
    assert ways_in(reached.host("mirror-2"), inside) == [], "it may use the caches, and no more"


def test_a_cache_in_a_home_directory_is_seen_too(reached: Reached) -> None:
    """`up` got here, so the service started; what the registry itself counts lies in that directory."""
    url = f"http://{reached.host('mirror-1').address}:{PORT}/metrics"
    counted = f"curl -sf {url} | grep '^registry_proxy_requests_total{{'"
    assert reached.host("client-1").run(f"for try in $(seq 30); do {counted} && exit; sleep 1; done").stdout


def test_who_may_read_metrics_may_not_use_the_caches_for_it(reached: Reached) -> None:
    """Two lists: a Prometheus outside of `access.networks` stays outside of the caches."""
    stranger = reached.host("stranger")
    reached.stage.set(metrics={"networks": [f"{stranger.address}/32", f"{stranger.address6}/128"]})
    reached.stage.up()
    assert reached.served_to("stranger") == sorted(reached.urls())
    caches = [url.replace("http:", "https:").replace(f":{PORT}/metrics", "/v2/") for url in reached.urls()]
    assert ways_in(stranger, caches) == []
    assert ways_in(reached.host("client-1"), reached.urls()) == []

    reached.stage.set(metrics={"networks": reached.networks})
    reached.stage.up()
    assert ways_in(stranger, reached.urls()) == []


def test_the_service_runs_as_nobody_and_can_do_nothing_more(reached: Reached) -> None:
    for name in MIRRORS:
        host = reached.host(name)
        process = "$(systemctl show -p MainPID registry-cache-metrics | cut -d= -f2)"
        status = host.run(f"cat /proc/{process}/status").stdout
        told = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        nobody = host.run("id -u nobody").stdout.strip()
        assert told["Uid"].split() == [nobody] * 4
        assert told["Gid"].split() == [host.run("id -g nobody").stdout.strip()] * 4
        assert told["Groups"].strip() == ""
        assert int(told["CapEff"], 16) == int(told["CapPrm"], 16) == int(told["CapAmb"], 16) == 0
        assert told["NoNewPrivs"] == "1"


def test_the_settings_of_the_prober_are_roots_alone(reached: Reached) -> None:
    modes = "stat -c '%a %U:%G' /etc/registry-cache/upstreams.json"
    assert reached.host("mirror-1").run(modes).stdout == "600 root:root\n"


def test_reloads_of_the_hosts_firewalls_change_nothing(reached: Reached) -> None:
    reached.host("mirror-1").run("firewall-cmd --reload; firewall-cmd --complete-reload")
    reached.host("mirror-2").run("systemctl restart iptables ip6tables docker")
    assert reached.served_to("client-1") == sorted(reached.urls())
    assert ways_in(reached.host("stranger"), reached.urls()) == []


def test_another_port_is_never_open_to_a_stranger_and_the_old_one_is_closed(reached: Reached) -> None:
    reached.stage.set(metrics={"networks": reached.networks, "port": OTHER_PORT})
    with ExitStack() as watches:
        watch = [
            watches.enter_context(watching(reached.host("stranger"), address, port))
            for name in MIRRORS
            for address in (reached.host(name).address, reached.host(name).address6)
            for port in (PORT, OTHER_PORT)
        ]
        reached.stage.up()
    assert [seen.opened for seen in watch] == [0] * len(watch)
    assert reached.served_to("client-1", OTHER_PORT) == sorted(reached.urls(OTHER_PORT))
    assert reached.served_to("client-1") == []
    reached.stage.project.preview("--expect-no-changes")


def test_without_networks_nothing_listens_and_the_upstreams_are_asked_all_the_same(reached: Reached) -> None:
    reached.stage.set(metrics={})
    with ExitStack() as watches:
        watch = [
            watches.enter_context(watching(reached.host("stranger"), reached.host(name).address, OTHER_PORT))
            for name in MIRRORS
        ]
        reached.stage.up()
    assert [seen.opened for seen in watch] == [0] * len(watch)
    for name in MIRRORS:
        host = reached.host(name)
        assert "registry-cache-metrics" not in host.run("systemctl list-units --all").stdout
        assert host.run(f"ss -Hltn 'sport = :{OTHER_PORT} or sport = :{PORT}'").stdout == ""
        ports = host.run("firewall-cmd --list-rich-rules 2>/dev/null; iptables-save; ip6tables-save").stdout
        assert str(OTHER_PORT) not in ports
        found = json.loads(host.read("/var/lib/registry-cache/metrics/upstreams.json"))
        assert found["upstreams"]["docker.io"]["up"] is True
    reached.stage.project.preview("--expect-no-changes")


def test_a_destroy_leaves_the_firewalls_files_and_units_as_they_were(reached: Reached) -> None:
    reached.stage.set(metrics={"networks": reached.networks})
    reached.stage.up()
    assert reached.served_to("client-1") == sorted(reached.urls())

    reached.stage.project.destroy()

    for name in MIRRORS:
        host = reached.host(name)
        changed = differences(reached.files[name], files_of(host, FIREWALLS))
        # Docker's own, which a destroy leaves.
        assert not [path for path in changed if "docker" not in path and "containerd" not in path], changed
        assert host.run("ls -A /var/lib/registry-cache", check=False).stdout == ""
        left = host.run("systemctl list-units --all; iptables-save; ip6tables-save").stdout
        assert "registry-cache" not in left
