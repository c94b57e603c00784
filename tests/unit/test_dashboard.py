"""The dashboard: current, by queries that Prometheus takes, on metrics that exist, with all of them shown."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring import dashboard
from monitoring.catalogue import METRICS

FILE = Path(dashboard.__file__).with_suffix(".json")
METRIC = re.compile(r"\bregistry_[a-z0-9_]+")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return dict(json.loads(FILE.read_text()))


def panels(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in document["panels"] if panel["type"] != "row"]


def expressions(document: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in panels(document) for target in panel["targets"]]


def test_the_file_is_as_the_code_makes_it() -> None:
    again = "toolchain/run python -m monitoring.dashboard >monitoring/dashboard.json"
    assert FILE.read_text() == dashboard.render(), f"run: {again}"


def test_every_query_is_on_metrics_that_exist_with_labels_that_they_have(document: dict[str, Any]) -> None:
    labels = {metric.name: {*metric.labels, "instance"} for metric in METRICS}
    variables = [variable.get("query") or "" for variable in document["templating"]["list"]]
    for expression in [*expressions(document), *map(str, variables)]:
        for name, selected in re.findall(r"\b(registry_[a-z0-9_]+)(?:\{([^}]*)\})?", expression):
            assert name in labels, expression
            assert set(re.findall(r"(\w+)(?:=~?|!=)", selected)) <= labels[name], expression


def test_every_metric_is_on_the_dashboard(document: dict[str, Any]) -> None:
    shown = set(METRIC.findall(" ".join(expressions(document))))
    assert shown == {metric.name for metric in METRICS}


def test_prometheus_takes_every_query(document: dict[str, Any], tmp_path: Path) -> None:
    plain = [expression.replace("$__rate_interval", "5m") for expression in expressions(document)]
    rules = [{"record": f"query:{number}", "expr": text} for number, text in enumerate(plain)]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(plain)} rules found" in done.stdout


def test_each_panel_says_what_it_means_has_a_unit_and_asks_the_chosen_prometheus(
    document: dict[str, Any],
) -> None:
    for panel in panels(document):
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"]["uid"] == "${source}"
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${source}"}
    assert len({panel["title"] for panel in panels(document)}) == len(panels(document))


def test_no_panel_lies_over_another(document: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in document["panels"]:
        place = panel["gridPos"]
        area = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & area, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= area
