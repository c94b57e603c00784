"""A Prometheus of a test's own on this machine, scraping mirrors of the lab."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from monitoring import alerts
from monitoring.catalogue import JOB

START_SECONDS = 60


@dataclass(frozen=True)
class Prometheus:
    """One that runs. Its alert rules are the project's, with durations that suit a test."""

    url: str
    rules: Path

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series that a query gives now: each with `metric`, its labels, and `value`, time and text."""
        found: list[dict[str, Any]] = self._get("query", query=query)["result"]
        return found

    def value(self, query: str) -> float | None:
        """The value of the one series that a query gives; None where it gives none."""
        found = self.ask(query)
        assert len(found) < 2, found
        return float(found[0]["value"][1]) if found else None

    def firing(self) -> dict[str, dict[str, Any]]:
        """The alerts that fire: labels and annotations by name and kind, as in `RegistryCacheX/tls`."""
        found = [alert for alert in self._get("alerts")["alerts"] if alert["state"] == "firing"]
        return {
            "/".join([alert["labels"]["alertname"], *filter(None, [alert["labels"].get("kind")])]): alert
            for alert in found
        }

    def rules_now(self) -> list[dict[str, Any]]:
        """Each rule, with how it fares."""
        found: list[dict[str, Any]] = self._get("rules")["groups"][0]["rules"]
        return found

    def use(self, durations: alerts.Durations) -> None:
        """Has it go by the rules with other durations."""
        self.rules.write_text(alerts.render(durations))
        requests.post(f"{self.url}/-/reload", timeout=10).raise_for_status()

    def _get(self, what: str, **parameters: str) -> dict[str, Any]:
        answer = requests.get(f"{self.url}/api/v1/{what}", params=parameters, timeout=10)
        document = answer.json()
        assert document["status"] == "success", document
        return dict(document["data"])


@contextmanager
def prometheus(
    directory: Path, targets: Sequence[str], durations: alerts.Durations, scrape_seconds: int = 1
) -> Iterator[Prometheus]:
    """Starts one on a free port of the loopback interface, and ends it."""
    rules = directory / "rules.yml"
    rules.write_text(alerts.render(durations))
    configuration = {
        "global": {"scrape_interval": f"{scrape_seconds}s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": list(targets)}]}],
    }
    (directory / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address={address}",
                "--web.enable-lifecycle",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            running = Prometheus(f"http://{address}", rules)
            deadline = time.monotonic() + START_SECONDS
            while not _is_ready(running.url):
                said = (directory / "prometheus.log").read_text()
                assert process.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.1)
            yield running
        finally:
            process.terminate()
            process.wait(timeout=30)


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=5).ok
    except requests.RequestException:
        return False
