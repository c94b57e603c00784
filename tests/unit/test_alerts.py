"""The alert rules, by promtool, on made-up series: when each fires, and when it must not."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from monitoring import alerts
from monitoring.catalogue import METRICS

ROOT = Path(__file__).resolve().parent.parent.parent
RULES = ROOT / "monitoring" / "alerts.yml"
MINUTE, HOUR, DAY = alerts.MINUTE, alerts.HOUR, alerts.DAY
GIB = 1 << 30
WHERE = 'job="registry-cache",instance="mirror-1"'
NOW = "registry_cache_collect_last_run_timestamp_seconds"
PROBED = "registry_cache_probe_last_run_timestamp_seconds"


def series(name: str, values: str, **labels: str) -> dict[str, str]:
    """One series, a value a minute. Its notation: 'a+bxn' begins with a and grows by b, n times."""
    more = "".join(f',{key}="{value}"' for key, value in labels.items())
    return {"series": f"{name}{{{WHERE}{more}}}", "values": values}


def steady(name: str, value: float, **labels: str) -> dict[str, str]:
    return series(name, f"{value:.0f}x300", **labels)


@dataclass(frozen=True)
class Case:
    """What the series say, and with which labels the alert fires after `at` minutes; None: not at all."""

    alert: str
    why: str
    at: int
    series: tuple[dict[str, str], ...]
    fires: dict[str, str] | None
    step: int = 1
    """Minutes from one value to the next."""


def disk(free: float) -> tuple[dict[str, str], ...]:
    return (
        steady("registry_cache_disk_free_bytes", free * GIB),
        steady("registry_cache_disk_min_free_bytes", 10 * GIB),
        steady("registry_cache_disk_size_bytes", 200 * GIB),
    )


def held(everything: float, limit: float | None, own: float | None = None) -> tuple[dict[str, str], ...]:
    """`own` is the limit of ghcr.io's cache, which holds 1 GiB."""
    found = [
        steady("registry_cache_bytes", (everything - 1) * GIB, upstream="docker.io"),
        steady("registry_cache_bytes", 1 * GIB, upstream="ghcr.io"),
    ]
    if limit is not None:
        found.append(steady("registry_cache_limit_bytes", limit * GIB, upstream="all"))
    if own is not None:
        found.append(steady("registry_cache_limit_bytes", own * GIB, upstream="ghcr.io"))
    return tuple(found)


def limits(left: float, allowed: float = 100) -> tuple[dict[str, str], ...]:
    return (
        steady("registry_cache_rate_limit_remaining", left, upstream="docker.io"),
        steady("registry_cache_rate_limit", allowed, upstream="docker.io"),
    )


def certificate(days: float, at: int) -> tuple[dict[str, str], ...]:
    """One with so many days left when it is looked at."""
    return (steady("registry_cache_certificate_not_after_timestamp_seconds", days * DAY + at * MINUTE),)


HUB, GHCR = {"upstream": "docker.io"}, {"upstream": "ghcr.io"}
RUNNING = series(NOW, "0+60x300")
UP, DOWN = steady("up", 1), steady("up", 0)
REFUSED = {"upstream": "docker.io", "kind": "rate_limited"}
USED = "registry_cache_last_use_timestamp_seconds"
ANSWERS = "registry_cache_upstream_up"
ERRORS = "registry_cache_upstream_errors_total"

CASES = [
    Case("RegistryCacheMirrorDown", "it does not answer", 4, (DOWN,), {}),
    Case("RegistryCacheMirrorDown", "it answers", 10, (UP,), None),
    Case("RegistryCacheMirrorDown", "it has missed a scrape or two", 2, (DOWN,), None),
    Case(
        "RegistryCacheMirrorDown",
        "somebody else's target is down",
        10,
        ({"series": 'up{job="node",instance="mirror-1"}', "values": "0x20"},),
        None,
    ),
    Case("RegistryCacheContainerDown", "gone", 3, (steady("registry_cache_container_up", 0, **HUB),), HUB),
    Case("RegistryCacheContainerDown", "runs", 9, (steady("registry_cache_container_up", 1, **HUB),), None),
    Case(
        "RegistryCacheContainerDown",
        "is replaced by an up",
        5,
        (series("registry_cache_container_up", "1 1 1 0 1 1 1", **HUB),),
        None,
    ),
    Case("RegistryCacheDiskCritical", "less than half of what is kept free", 3, disk(4.9), {}),
    Case("RegistryCacheDiskCritical", "more than half", 60, disk(5.1), None),
    Case("RegistryCacheDiskLow", "less than what is kept free", 16, disk(9.9), {}),
    Case("RegistryCacheDiskLow", "not for long: the guard is at it", 10, disk(9.9), None),
    Case("RegistryCacheDiskLow", "the cache fills the disk as it may", 60, disk(10.0), None),
    Case("RegistryCacheDiskLow", "plenty", 60, disk(150), None),
    Case("RegistryCacheOverLimit", "does not get below", 31, held(11, 10), {}),
    Case("RegistryCacheOverLimit", "an image in flight", 60, held(10.4, 10), None),
    Case("RegistryCacheOverLimit", "a run brings it down", 20, held(11, 10), None),
    Case("RegistryCacheOverLimit", "no limit is set", 60, held(500, None), None),
    Case("RegistryCacheOverLimit", "one has a limit of its own", 31, held(500, None, 0.9), GHCR),
    Case("RegistryCacheOverLimit", "one is within its own", 60, held(10, 10, 1), None),
    Case(
        "RegistryCacheGuardNotRunning", "stopped ten minutes ago", 14, (UP, series(NOW, "0+60x3 180x99")), {}
    ),
    Case("RegistryCacheGuardNotRunning", "never ran", 3, (UP,), {}),
    Case("RegistryCacheGuardNotRunning", "runs", 60, (UP, RUNNING), None),
    Case("RegistryCacheGuardNotRunning", "the mirror is down, which is another alert", 60, (DOWN,), None),
    Case("RegistryCacheGuardNotRunning", "one round late", 7, (UP, series(NOW, "0+60x4 240x99")), None),
    Case("RegistryCacheProberNotRunning", "stopped", 14, (UP, series(PROBED, "0+60x3 180x99")), {}),
    Case("RegistryCacheProberNotRunning", "runs", 60, (UP, series(PROBED, "0+60x99")), None),
    Case("RegistryCacheUpstreamFailing", "refuses", 6, (steady(ANSWERS, 0, **HUB),), HUB),
    Case(
        "RegistryCacheUpstreamFailing",
        "kinds alternate",
        6,
        (
            steady(ANSWERS, 0, **HUB),
            series("registry_cache_upstream_refusal", "1 0 1 0 1 0 1 0", **REFUSED),
            series("registry_cache_upstream_refusal", "0 1 0 1 0 1 0 1", upstream="docker.io", kind="tls"),
        ),
        HUB,
    ),
    Case("RegistryCacheUpstreamFailing", "serves", 60, (steady(ANSWERS, 1, **HUB),), None),
    Case("RegistryCacheUpstreamFailing", "a hiccup", 8, (series(ANSWERS, "1 0 0 1 0 0 1 1 1", **HUB),), None),
    Case(
        "RegistryCachePullsFailing", "a fetch a minute", 10, (series(ERRORS, "0+1x99", **REFUSED),), REFUSED
    ),
    Case(
        "RegistryCachePullsFailing", "one typing mistake", 10, (series(ERRORS, "0 0 1x99", **REFUSED),), None
    ),
    Case("RegistryCachePullsFailing", "long over", 60, (series(ERRORS, "0+9x9 90x99", **REFUSED),), None),
    Case("RegistryCacheRateLimitLow", "nine of a hundred", 6, limits(9), HUB),
    Case("RegistryCacheRateLimitLow", "none left", 6, limits(0), HUB),
    Case("RegistryCacheRateLimitLow", "eleven of a hundred", 60, limits(11), None),
    Case("RegistryCacheRateLimitLow", "the upstream tells no limit", 60, limits(9)[:1], None),
    Case(
        "RegistryCacheNotUsed",
        "no pull for more than three days",
        73 * 60,
        (steady(USED, 0, **HUB), steady(USED, 1800, upstream="ghcr.io")),
        {},
        step=60,
    ),
    Case(
        "RegistryCacheNotUsed",
        "one of its caches is used",
        80 * 60,
        (steady(USED, 0, **HUB), series(USED, "0+3600x300", upstream="ghcr.io")),
        None,
        step=60,
    ),
    Case("RegistryCacheNotUsed", "over a weekend", 64 * 60, (steady(USED, 0, **HUB),), None, step=60),
    Case("RegistryCacheNeverUsed", "up for two hours", 120, (RUNNING,), {}),
    Case("RegistryCacheNeverUsed", "just set up", 30, (RUNNING,), None),
    Case("RegistryCacheNeverUsed", "used once", 120, (RUNNING, steady(USED, 60, **HUB)), None),
    Case("RegistryCacheCertificateEndsNow", "two days", 20, certificate(2.9, 20), {}),
    Case("RegistryCacheCertificateEndsNow", "it has ended", 20, certificate(-1 / 144, 20), {}),
    Case("RegistryCacheCertificateEndsNow", "four days", 20, certificate(4, 20), None),
    Case("RegistryCacheCertificateEndsSoon", "twenty days", 20, certificate(20, 20), {}),
    Case("RegistryCacheCertificateEndsSoon", "the next up renews it", 20, certificate(25, 20), None),
    Case("RegistryCacheCertificateEndsSoon", "without TLS there is none", 20, (UP,), None),
]


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules without their annotations, which promtool else wants repeated word for word."""
    document = yaml.safe_load(RULES.read_text())
    for rule in document["groups"][0]["rules"]:
        del rule["annotations"]
    file = tmp_path_factory.mktemp("rules") / "rules.yml"
    file.write_text(yaml.safe_dump(document))
    return file


def as_test(case: Case) -> dict[str, object]:
    severity = {alert.name: alert.severity for alert in alerts.alerts(alerts.Durations())}[case.alert]
    labels = {"job": "registry-cache", "instance": "mirror-1", "severity": severity}
    fired = [] if case.fires is None else [{"exp_labels": labels | case.fires}]
    expected = {"eval_time": f"{case.at}m", "alertname": case.alert, "exp_alerts": fired}
    name = f"{case.alert}: {case.why}"
    return {
        "name": name,
        "interval": f"{case.step}m",
        "input_series": list(case.series),
        "alert_rule_test": [expected],
    }


def test_each_alert_fires_when_it_should_and_only_then(rules: Path) -> None:
    """All cases by one promtool, which names those that fail."""
    files = []
    for step in sorted({case.step for case in CASES}):
        files.append(rules.parent / f"test-{step}.yml")
        tests = [as_test(case) for case in CASES if case.step == step]
        document = {"rule_files": [str(rules)], "evaluation_interval": f"{step}m", "tests": tests}
        files[-1].write_text(yaml.safe_dump(document))
    done = subprocess.run(["promtool", "test", "rules", *map(str, files)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", [alert.name for alert in alerts.alerts(alerts.Durations())])
def test_every_alert_is_tried_both_ways(alert: str) -> None:
    assert {case.fires is None for case in CASES if case.alert == alert} == {True, False}


def test_the_rule_file_is_as_the_code_says_and_prometheus_takes_it() -> None:
    again = "toolchain/run python -m monitoring.alerts >monitoring/alerts.yml"
    assert RULES.read_text() == alerts.render(alerts.Durations()), f"run: {again}"
    done = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_go_by_metrics_that_exist() -> None:
    known = {metric.name for metric in METRICS}
    for alert in alerts.alerts(alerts.Durations()):
        used = set(re.findall(r"\bregistry_\w+", alert.expression))
        assert used <= known, alert.name
        assert used or alert.name == "RegistryCacheMirrorDown"


def test_each_alert_has_its_section_with_what_to_do() -> None:
    page = (ROOT / alerts.PAGE).read_text()
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", page, flags=re.MULTILINE | re.DOTALL))
    names = [alert.name for alert in alerts.alerts(alerts.Durations())]
    assert list(sections) == names, "in the rules' order, and none for an alert that is gone"
    for alert in alerts.alerts(alerts.Durations()):
        rule = alert.as_rule()
        assert rule["annotations"] == {
            "summary": alert.summary,
            "description": alert.description,
            "runbook": f"docs/operations/alerts.md#{alert.name.lower()}",
        }
        assert "**What to do.**" in sections[alert.name], alert.name
