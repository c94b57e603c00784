"""A real Prometheus scrapes a mirror; each alert fires when its cause is made, and ends with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lab import Lab
from lab.machine import LabHost
from monitoring.alerts import Durations
from monitoring.catalogue import METRICS
from tests.lab.program_stage import HUB, Stage
from tests.lab.prometheus import Prometheus, prometheus

MIRROR, CLIENT = "mirror-1", "client-1"
PORT = 9469
CONTAINER = "registry-cache-docker.io"
SECONDS = 300
"""For an alert to fire or to end; each does within a few seconds of what the mirror finds."""
DISK_MIB, KEPT_FREE_MIB = 400, 100

# The prober looks every five seconds here, and not each minute: nothing else of it is another.
SOONER = "/etc/systemd/system/registry-cache-upstreams.timer.d/sooner.conf"
EVERY_FIVE_SECONDS = "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/5\nAccuracySec=100ms\n"
PATIENCE = Durations(
    evaluation=1,
    disk_low_for=2,
    disk_critical_for=2,
    over_limit_for=5,
    upstream_failing_for=3,
    pulls_failing_window=60,
    rate_limit_for=2,
    never_used_for=300,
    certificate_for=2,
    silent=40,
    silent_for=2,
    container_down_for=2,
    mirror_down_for=3,
)


@dataclass(frozen=True)
class Watched:
    """A stack with metrics, and a Prometheus that scrapes its mirror."""

    stage: Stage
    prometheus: Prometheus

    @property
    def lab(self) -> Lab:
        return self.stage.lab

    @property
    def mirror(self) -> LabHost:
        return self.lab.host(MIRROR)

    def pull(self, image: str, *, check: bool = True) -> None:
        """Pulls an image anew by a client."""
        client = self.lab.host(CLIENT)
        client.run(f"docker image rm -f {HUB}/{image}", check=False)
        client.run(f"docker pull -q {HUB}/{image}", check=check)

    def until(self, holds: Callable[[], bool], what: str, instead: Callable[[], str] | None = None) -> None:
        """Waits for a condition. What there is `instead` is told where that does not come."""
        deadline = time.monotonic() + SECONDS
        told = instead or (lambda: f"firing: {sorted(self.prometheus.firing())}")
        while not holds():
            assert time.monotonic() < deadline, f"{what} not within {SECONDS} s; {told()}"
            time.sleep(0.5)

    def until_firing(self, *names: str) -> dict[str, Any]:
        """Waits until all of these alerts fire, and gives the first one."""
        self.until(lambda: set(names) <= set(self.prometheus.firing()), f"{', '.join(names)} fire")
        return dict(self.prometheus.firing()[names[0]])

    def until_upstream_fails(self) -> str:
        """Waits for the alert that Docker Hub does not serve, and gives the kind of refusal that it tells."""
        summary: str = self.until_firing("RegistryCacheUpstreamFailing")["annotations"]["summary"]
        begin, _, kind = summary.partition(": ")
        assert begin == f"docker.io does not serve {self.mirror.address}:{PORT}"
        return kind

    def until_quiet(self) -> None:
        """Waits until no alert fires."""
        self.until(lambda: not self.prometheus.firing(), "no alert")


def _digest(lab: Lab, image: str) -> str:
    """The digest of an image as the upstream serves it."""
    entries = [line.split() for line in (lab.state_dir / "digests").read_text().splitlines()]
    return next(digest for name, _, digest in entries if name == image)


@pytest.fixture(scope="module")
def watched(lab: Lab, plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The mirror's data is on a small file system of its own, which a test can fill."""
    lab.renew([MIRROR])
    lab.up([CLIENT])
    # For what it has already, Docker asks in another way, and that is a proof as well.
    lab.host(CLIENT).run(f"docker pull -q {HUB}/nginx:latest")
    mirror = lab.host(MIRROR)
    mirror.run(f"mkdir -p /data && mount -t tmpfs -o size={DISK_MIB}m tmpfs /data")
    mirror.run(f"install -D -m 644 /dev/stdin {SOONER}", EVERY_FIVE_SECONDS)
    directory = tmp_path_factory.mktemp("monitoring")
    stage = Stage.of(
        lab,
        directory / "clone",
        plugins,
        [MIRROR],
        [CLIENT],
        mirrorsAreClients=False,
        metrics={"networks": list(lab.network.allowed)},
        cache={"minFree": f"{KEPT_FREE_MIB}MiB", "limit": "200MiB"},
    )
    try:
        stage.up()
        with prometheus(directory, [f"{mirror.address}:{PORT}"], PATIENCE) as running:
            yield Watched(stage, running)
    finally:
        lab.upstream.answer_with(None)
        lab.upstream.rate_limit(None)
        lab.upstream.start()
        stage.project.destroy(check=False)
        mirror.stop()


def test_prometheus_reads_every_metric_and_no_other(watched: Watched) -> None:
    watched.lab.upstream.rate_limit(87)
    watched.pull("redis")
    expected = {metric.name for metric in METRICS}

    def names() -> set[str]:
        return {
            series["metric"]["__name__"] for series in watched.prometheus.ask('{__name__=~"registry_.*"}')
        }

    watched.until(
        lambda: names() >= expected, "every metric", lambda: f"missing: {sorted(expected - names())}"
    )
    assert names() == expected
    assert watched.prometheus.value("registry_cache_rate_limit_remaining") == 87
    assert watched.prometheus.value('registry_cache_upstream_up{upstream="docker.io"}') == 1
    assert watched.prometheus.value("registry_cache_disk_size_bytes") == DISK_MIB << 20
    assert watched.prometheus.value("registry_cache_disk_min_free_bytes") == KEPT_FREE_MIB << 20
    assert watched.prometheus.value(f'up{{instance="{watched.mirror.address}:{PORT}"}}') == 1


def test_the_registrys_own_counters_and_the_hosts_agree_on_what_a_pull_was(watched: Watched) -> None:
    def counted(metric: str, labels: str) -> float:
        return watched.prometheus.value(f"sum({metric}{{{labels}}})") or 0

    before = {
        "served": counted("registry_cache_requests_total", 'kind="blob",result=~"hit|miss"'),
        "own": counted("registry_proxy_requests_total", 'type="blob"'),
    }
    watched.pull("nginx")
    watched.until(
        lambda: (
            counted("registry_cache_requests_total", 'kind="blob",result=~"hit|miss"') >= before["served"] + 4
            and counted("registry_proxy_requests_total", 'type="blob"') >= before["own"] + 4
        ),
        "both have counted the four blobs of nginx",
    )


def test_nothing_fires_while_all_is_well(watched: Watched) -> None:
    watched.until_quiet()


def test_a_rate_limit_that_is_nearly_used_up(watched: Watched) -> None:
    watched.lab.upstream.rate_limit(9)

    alert = watched.until_firing("RegistryCacheRateLimitLow")

    assert alert["labels"]["upstream"] == "docker.io"
    assert alert["annotations"]["description"].startswith("9% of the allowed pulls are left.")
    watched.lab.upstream.rate_limit(87)
    watched.until_quiet()


def test_an_upstream_that_refuses_with_429_is_told_as_that(watched: Watched) -> None:
    watched.lab.upstream.rate_limit(0)

    assert watched.until_upstream_fails() == "rate_limited"
    # By digest: what becomes of a tag that is refused, a registry does not log.
    digest = _digest(watched.lab, "alpine")
    for _ in range(6):
        watched.pull(f"alpine@{digest}", check=False)
    watched.until_firing("RegistryCachePullsFailing/rate_limited")

    watched.lab.upstream.rate_limit(None)
    watched.until_quiet()


@pytest.mark.parametrize(("status", "kind"), [(503, "server_error"), (403, "unauthorized")])
def test_an_upstream_that_fails_is_told_by_its_kind(watched: Watched, status: int, kind: str) -> None:
    watched.lab.upstream.answer_with(status)
    assert watched.until_upstream_fails() == kind

    watched.lab.upstream.answer_with(None)
    watched.until_quiet()


def test_an_upstream_that_is_away_is_unreachable(watched: Watched) -> None:
    watched.lab.upstream.stop()
    assert watched.until_upstream_fails() == "unreachable"

    watched.lab.upstream.start()
    watched.until_quiet()


def test_a_prober_that_is_stopped(watched: Watched) -> None:
    watched.mirror.run("systemctl stop registry-cache-upstreams.timer")
    watched.until_firing("RegistryCacheProberNotRunning")

    watched.mirror.run("systemctl start registry-cache-upstreams.timer")
    watched.until_quiet()


def test_a_guard_that_is_stopped(watched: Watched) -> None:
    watched.mirror.run("systemctl stop registry-cache-collect.timer registry-cache-collect.service")
    watched.until_firing("RegistryCacheGuardNotRunning")

    watched.mirror.run("systemctl start registry-cache-collect.timer")
    watched.until_quiet()


def test_a_disk_that_somebody_else_fills_at_two_levels(watched: Watched) -> None:
    free = "$(df --output=avail -B1M /data | tail -n 1)"
    watched.mirror.run(f"fallocate -l $(({free} - 80))M /data/somebodys")
    watched.until_firing("RegistryCacheDiskLow")
    assert "RegistryCacheDiskCritical" not in watched.prometheus.firing()

    watched.mirror.run(f"fallocate -l $(({free} - 40))M /data/more-of-it")
    watched.until_firing("RegistryCacheDiskCritical")

    watched.mirror.run("rm /data/somebodys /data/more-of-it")
    watched.until_quiet()


@pytest.mark.parametrize(("done", "undone"), [("stop", "start"), ("pause", "unpause")])
def test_a_container_that_is_stopped_or_paused(watched: Watched, done: str, undone: str) -> None:
    watched.mirror.run(f"docker {done} {CONTAINER}")
    watched.until_firing("RegistryCacheContainerDown")

    watched.mirror.run(f"docker {undone} {CONTAINER}")
    watched.until_quiet()


def test_a_mirror_that_nobody_uses(watched: Watched) -> None:
    watched.prometheus.use(replace(PATIENCE, unused=5))
    watched.until_firing("RegistryCacheNotUsed")

    watched.prometheus.use(PATIENCE)
    watched.until_quiet()


def test_a_mirror_that_does_not_answer(watched: Watched) -> None:
    watched.mirror.run("systemctl stop registry-cache-metrics")
    watched.until_firing("RegistryCacheMirrorDown")

    watched.mirror.run("systemctl start registry-cache-metrics")
    watched.until_quiet()


def test_a_certificate_near_its_end(watched: Watched) -> None:
    tls = {"validDays": 20, "renewBeforeDays": 1, "rotation": 1}
    watched.stage.set(tls=tls)
    watched.stage.up()
    watched.until_firing("RegistryCacheCertificateEndsSoon")
    assert "RegistryCacheCertificateEndsNow" not in watched.prometheus.firing()

    watched.stage.set(tls={**tls, "validDays": 2, "rotation": 2})
    watched.stage.up()
    alert = watched.until_firing("RegistryCacheCertificateEndsNow")
    assert alert["annotations"]["description"].startswith("It ends in 1d ")

    watched.stage.set(tls={"rotation": 3})
    watched.stage.up()
    watched.until_quiet()


def test_every_alert_that_fired_had_its_texts_filled_in(watched: Watched) -> None:
    """Prometheus puts its complaint where a template fails."""
    ever = watched.prometheus.ask('count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[2h]))')
    assert len(ever) >= 12, ever
    rules = watched.prometheus.rules_now()
    assert {rule["health"] for rule in rules} == {"ok"}
    assert not [rule for rule in rules if rule.get("lastError")]
