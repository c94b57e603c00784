"""The page on metrics names every metric that a mirror exports, with its labels, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from monitoring.catalogue import JOB, METRICS

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "operations" / "monitoring.md"


def test_the_page_tells_of_every_metric_what_it_means() -> None:
    rows = re.findall(r"^\| `(registry_\w+)` \| ([\w, ]*)\| (.+) \|$", PAGE.read_text(), flags=re.MULTILINE)
    told = {name: tuple(re.findall(r"\w+", labels)) for name, labels, _ in rows}
    assert told == {metric.name: metric.labels for metric in METRICS}
    assert len(rows) == len(METRICS)


def test_the_pages_job_has_the_name_that_the_alerts_go_by() -> None:
    assert f"job_name: {JOB}\n" in PAGE.read_text()
