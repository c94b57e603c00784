"""The workflows: what zizmor and actionlint (make lint) do not know of this project."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.userland import chosen

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONS = {"actions/checkout", "actions/upload-artifact"}


def loaded(path: Path) -> dict[Any, Any]:
    content = yaml.safe_load(path.read_text())
    assert isinstance(content, dict)
    return content


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in loaded(path)["jobs"].items():
            yield f"{path.stem}/{name}", job


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in jobs():
        for step in job["steps"]:
            yield name, step


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_gives_nobody_more_than_a_job_asks_for(path: Path) -> None:
    assert loaded(path)["permissions"] == {}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_strangers_code_runs_in_the_name_of_this_repository(path: Path) -> None:
    # YAML 1.1 reads the key `on` as true.
    assert "pull_request_target" not in loaded(path)[True]


def test_actions_are_few_and_pinned_by_commit_with_their_version() -> None:
    for path in WORKFLOWS:
        for line in path.read_text().splitlines():
            if "uses:" in line:
                found = re.search(r"uses: ([\w/-]+)@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)
                assert found, line
                assert found[1] in ACTIONS, line


def test_no_secret_stands_in_a_command_and_only_one_module_gets_any() -> None:
    for name, step in steps():
        assert "secrets." not in str(step.get("run", "")), name
        assert "${{" not in str(step.get("run", "")), f"{name}: what is put into a command can be a command"
        if "secrets." in str(step.get("env", "")):
            assert "ci.keep_secrets" in step["run"], name
    for name, job in jobs():
        assert "secrets." not in str(job.get("env", "")), name


def test_a_job_that_may_write_has_no_secret_of_a_pull_request_and_checks_none_out() -> None:
    writing = {name: job for name, job in jobs() if "write" in job["permissions"].values()}
    assert set(writing) == {"comment/comment", "drift/look"}
    for name, job in writing.items():
        for step in job["steps"]:
            checked_out = str(step.get("with", {}).get("ref", ""))
            assert not re.search(r"head|pull_request|workflow_run", checked_out), name
    assert "secrets." not in str(writing["comment/comment"])


def test_a_token_is_given_to_the_step_that_talks_to_github_alone() -> None:
    holders = {name: step["run"] for name, step in steps() if "github.token" in str(step)}
    assert set(holders) == {"comment/comment", "drift/look"}
    assert "ci.post" in holders["comment/comment"]
    assert "ci.nightly tell" in holders["drift/look"], "what looks at the hosts has no token"
    for name, step in steps():
        if "checkout" in str(step.get("uses", "")):
            assert step["with"]["persist-credentials"] is False, name


def test_jobs_with_secrets_are_behind_an_environment_and_never_run_a_forks_code() -> None:
    holding = {name: job for name, job in jobs() if "secrets." in str(job)}
    assert set(holding) == {"preview/with-secrets", "up/up", "drift/look"}
    for name, job in holding.items():
        assert job["environment"], name
    assert "head.repo.full_name == github.repository" in holding["preview/with-secrets"]["if"]


def test_every_preview_job_is_for_one_of_two_cases_and_no_pull_request_is_left_out() -> None:
    one, other = (
        loaded(ROOT / ".github/workflows/preview.yml")["jobs"][n]["if"]
        for n in ("with-secrets", "without-secrets")
    )
    negated = {"==": "!=", "!=": "==", "&&": "||", "||": "&&"}
    assert re.sub(r"==|!=|&&|\|\|", lambda found: negated[found[0]], one).split() == other.split()


def test_up_runs_one_at_a_time_in_order_and_is_never_broken_off() -> None:
    workflow = loaded(ROOT / ".github/workflows/up.yml")
    assert workflow["concurrency"] == {"group": "up", "cancel-in-progress": False}
    assert workflow["jobs"]["up"]["strategy"]["max-parallel"] == 1
    assert workflow["jobs"]["up"]["environment"] == "${{ matrix.stack }}"


def test_the_comment_follows_the_workflow_that_makes_the_previews() -> None:
    preview, comment = (loaded(ROOT / ".github/workflows" / f"{name}.yml") for name in ("preview", "comment"))
    assert comment[True]["workflow_run"]["workflows"] == [preview["name"]]


def test_the_look_at_night_waits_for_nobody() -> None:
    assert loaded(ROOT / ".github/workflows/drift.yml")["jobs"]["look"]["environment"] != "preview"


def test_a_set_up_that_fails_at_night_is_told_all_the_same() -> None:
    *_, last = loaded(ROOT / ".github/workflows/drift.yml")["jobs"]["look"]["steps"]
    assert last["if"] == "${{ !cancelled() }}"
    assert last["run"].startswith("python3 -m ci.nightly tell "), "what set-up makes may be missing"


def test_every_module_that_a_step_runs_is_there() -> None:
    modules = {
        found for _, step in steps() for found in re.findall(r"-m (ci\.\w+)", str(step.get("run", "")))
    }
    assert modules == {"ci.keep_secrets", "ci.nightly", "ci.post", "ci.preview", "ci.touched"}
    for module in modules:
        assert importlib.util.find_spec(module) is not None


def test_steps_that_use_the_toolchain_for_stacks_do_not_take_the_labs_passphrase() -> None:
    for name, job in jobs():
        if any("toolchain/run" in str(step.get("run", "")) for step in job["steps"]):
            assert job["env"]["STACK"] != "dev", name


def test_the_userlands_of_the_lab_workflow_are_known_to_the_lab() -> None:
    bases = loaded(ROOT / ".github/workflows/lab.yml")["jobs"]["real"]["strategy"]["matrix"]["base"]
    assert all(chosen({"LAB_BASE": base}) is not None for base in bases)


def test_what_the_posting_job_runs_needs_no_package() -> None:
    seen: set[str] = set()
    waiting = ["ci.post"]
    while waiting:
        module = waiting.pop()
        seen.add(module)
        text = (ROOT / f"{module.replace('.', '/')}.py").read_text()
        assert not re.search(
            r"^\s*(?:import|from) (?:yaml|pulumi|requests|pydantic|toolchain)", text, re.MULTILINE
        )
        found = re.findall(r"^from (ci\.\w+) import", text, re.MULTILINE)
        waiting += [name for name in found if name not in seen]
    assert "ci.comment" in seen
