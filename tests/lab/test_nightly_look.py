"""The nightly look on hosts that somebody changes by hand: one issue, from the change to the repair."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ci import nightly
from lab import Lab
from tests.github_double import GitHubDouble, running
from tests.lab.program_stage import Stage
from tests.pulumi_project import STACK


@pytest.fixture
def github() -> Iterator[GitHubDouble]:
    with running() as double:
        yield double


@pytest.fixture
def stage(lab: Lab, plugins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A stack that is up; this process has the environment of its commands, as a workflow's step has it."""
    lab.renew(["mirror-1", "client-1"])
    stage = Stage.of(lab, tmp_path / "clone", plugins, ["mirror-1"], ["client-1"])
    stage.up()
    for name, value in stage.project.environment.items():
        monkeypatch.setenv(name, value)
    return stage


def looked(stage: Stage, github: GitHubDouble) -> tuple[int, list[str]]:
    """One night: the code of the look, and the issues that are open after it."""
    directory = stage.project.directory
    plans = directory.with_name("plans.json")
    code = nightly.main(["look", "--stack", STACK, "--plans", str(plans)], directory)
    assert nightly.main(["tell", "--plans", str(plans)], directory, github.environment) == 0
    return code, [issue["body"] for issue in github.issues if issue["state"] == "open"]


def test_what_somebody_changes_by_hand_is_one_issue_until_up_has_put_it_right(
    stage: Stage, github: GitHubDouble
) -> None:
    client = stage.lab.host("client-1")
    assert looked(stage, github) == (0, [])

    client.run("echo '{}' >/etc/docker/daemon.json && systemctl reload docker")
    code, issues = looked(stage, github)
    assert code == 1
    (issue,) = issues
    assert "`client-1`: daemon.json and what Docker trusts, put right; reload" in issue
    assert "changed on client-1 since the last up" in issue
    assert "/etc/docker/daemon.json" in issue

    client.stop()
    code, issues = looked(stage, github)
    assert code == 2, "a host that does not answer is not in order"
    (issue,) = issues
    assert "not every host lets itself be looked at" in issue
    client.start()

    stage.up()
    assert looked(stage, github) == (0, [])
    assert len(github.issues) == 1
