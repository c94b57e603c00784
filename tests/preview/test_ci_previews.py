"""The scripts of the workflows from end to end: git, the real engine, and a GitHub of the tests' own."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from ci import keep_secrets, nightly, post, preview
from ci.comment import MARKER
from tests.github_double import GitHubDouble, running
from tests.preview.s3_server import S3Server
from tests.pulumi_project import STACK, Project
from tests.unit.settings_sample import SAMPLE, make_home, read
from toolchain.stack import main as make

ROOT = Path(__file__).resolve().parents[2]
PULL_REQUEST = 9
HEAD = "example:change"
RUN = 77
PASSWORD = "open-sesame"  # pragma: allowlist secret
SIMPLE = """
import pulumi
from pulumi_command import local

config = pulumi.Config()
local.Command("web-1-note", create="cat >note", stdin=config.require_secret("note"))
local.Command("web-1-list", create="cat >list", stdin="one\\ntwo\\n")
"""
# Previews of the whole program take seconds each, and the bucket's server may have to be built.
pytestmark = pytest.mark.timeout(900, func_only=True)


@pytest.fixture
def github() -> Iterator[GitHubDouble]:
    with running() as double:
        yield double


@pytest.fixture
def enter(monkeypatch: pytest.MonkeyPatch) -> Callable[[Project], None]:
    """Gives this process the environment of a project's commands, as a workflow's step has it."""

    def environment(project: Project) -> None:
        for name, value in project.environment.items():
            monkeypatch.setenv(name, value)

    return environment


@pytest.fixture
def repository(
    clone_project: Callable[[Mapping[str, object]], Project], tmp_path: Path, enter: Callable[[Project], None]
) -> Project:
    """The program with two stacks, one of them with a state, in a git repository with a branch `main`."""
    make_home(tmp_path / "user")
    raw = read(SAMPLE) | {"ssh": {"privateKeyFile": str(tmp_path / "user/.ssh/id_ed25519")}}
    project = clone_project({f"registry-cache:{key}": value for key, value in raw.items()})
    shutil.copyfile(project.directory / f"Pulumi.{STACK}.yaml", project.directory / "Pulumi.staging.yaml")
    git(project, "init", "--quiet", "--initial-branch", "main")
    commit(project, "base")
    enter(project)
    return project


def git(project: Project, *arguments: str) -> str:
    who = ["-c", "user.name=Example", "-c", "user.email=example@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(project.directory), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(project: Project, message: str) -> str:
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", message)
    return git(project, "rev-parse", "HEAD")


def set_networks(project: Project, stack: str, *networks: str) -> None:
    file = project.directory / f"Pulumi.{stack}.yaml"
    content = yaml.safe_load(file.read_text())
    content["config"]["registry-cache:access"] = {"networks": list(networks)}
    file.write_text(yaml.safe_dump(content))


def pull_request(project: Project, github: GitHubDouble, *arguments: str) -> tuple[int, str]:
    """What both workflows do for the newest commit: the code of the previews, and the comment."""
    plans = project.directory.with_name("plans.json")
    code = preview.main(["--base", "main", "--plans", str(plans), *arguments], project.directory)
    head = git(project, "rev-parse", "HEAD")
    github.pulls.clear()
    github.pull_request(PULL_REQUEST, head, HEAD)
    github.artifacts.clear()
    github.leave_artifact(RUN, post.ARTIFACT, {post.FILE: plans.read_text()})
    given = ["--run", str(RUN), "--commit", head, "--head", HEAD]
    assert post.main(given, github.environment) == 0
    (comment,) = github.comments[PULL_REQUEST]
    assert MARKER in comment["body"]
    return code, str(comment["body"])


def test_a_pull_request_has_one_comment_that_each_push_updates(
    repository: Project, github: GitHubDouble
) -> None:
    git(repository, "switch", "--quiet", "--create", "change")
    set_networks(repository, STACK, "203.0.113.0/24", "198.51.100.0/24")
    commit(repository, "one stack")
    code, comment = pull_request(repository, github)
    assert code == 0
    assert f"**`{STACK}`**: " in comment
    assert "on 2 hosts" in comment
    assert "`mirror-1`: new host: " in comment, "its state is empty"
    assert "staging" not in comment, "the change does not touch it"

    settings = repository.directory / "components" / "lib" / "docker_repo.py"
    settings.write_text(settings.read_text() + "\n# A change of the program.\n")
    commit(repository, "the program")
    code, comment = pull_request(repository, github)
    assert code == 0
    assert f"**`{STACK}`**: " in comment
    assert "**`staging`**: no changes" in comment, "compared with main, for it has no state"
    assert "the backend has no such stack yet" in comment
    assert [line.split()[0] for line in github.requests if "comments" in line] == [
        "GET",
        "POST",
        "GET",
        "PATCH",
    ]


def test_a_change_from_a_fork_is_compared_with_main_without_a_secret_or_a_host(
    repository: Project, github: GitHubDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstreams = [{"registry": "docker.io", "username": "reader"}]
    file = repository.directory / f"Pulumi.{STACK}.yaml"
    content = yaml.safe_load(file.read_text())
    content["config"]["registry-cache:upstreams"] = upstreams
    file.write_text(yaml.safe_dump(content))
    repository.set_secret_at("registry-cache:upstreams[0].password", PASSWORD)
    commit(repository, "a login at the upstream")
    # What a fork's run does not have: the passphrase, the backend, the key.
    shutil.rmtree(tmp_path / "user")
    shutil.rmtree(repository.state)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE")
    monkeypatch.delenv("PULUMI_BACKEND_URL")

    git(repository, "switch", "--quiet", "--create", "change")
    set_networks(repository, STACK, "203.0.113.0/24", "198.51.100.0/24")
    commit(repository, "one more network")
    code, comment = pull_request(repository, github, "--without-secrets", "fork")
    assert code == 0, comment
    assert "this pull request comes from a fork, which gets no secrets" in comment
    assert "- `mirror-1`: firewall, 1 line" in comment
    assert "+    ip saddr { 198.51.100.0/24, 203.0.113.0/24 } accept" in comment
    assert "new host" not in comment
    assert "secure" not in comment
    assert git(repository, "status", "--porcelain") == "", "the checkout stays as it was"

    repository.write("raise SystemExit('a program that does not run')")
    commit(repository, "a mistake")
    code, comment = pull_request(repository, github, "--without-secrets", "fork")
    assert code == 1
    assert "> [!CAUTION]" in comment
    assert "the preview failed" in comment


def test_a_broken_rule_of_the_policy_pack_stands_on_top_and_fails_the_check(
    repository: Project, github: GitHubDouble
) -> None:
    git(repository, "switch", "--quiet", "--create", "change")
    program = repository.directory / "components" / "registry_cache.py"
    program.write_text(program.read_text().replace("read_only=True,\n            tmpfs", "tmpfs"))
    commit(repository, "a container that can be written to")
    code, comment = pull_request(repository, github)
    assert code == 1
    head = comment.partition("**`")[0]
    assert "> [!CAUTION]" in head
    assert "policy " in head
    assert "mirror-1-docker.io-container" in head


@pytest.fixture
def simple(pulumi_project: Callable[..., Project], enter: Callable[[Project], None]) -> Project:
    """A program that can be brought up here, with a secret of its own."""
    project = pulumi_project(SIMPLE, {})
    project.set_secret("note", PASSWORD)
    enter(project)
    return project


def test_a_secret_is_in_no_plan_no_comment_and_no_log(
    simple: Project, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    comment, plans = tmp_path / "comment.md", tmp_path / "plans.json"
    given = ["--stack", STACK, "--comment", str(comment), "--plans", str(plans)]
    assert preview.main(given, simple.directory) == 0
    simple.up()
    simple.set_secret("note", PASSWORD.upper())
    capfd.readouterr()
    assert preview.main(given, simple.directory) == 0
    assert "! [secret]" in comment.read_text(), "that it changes is told"
    seen = comment.read_text() + plans.read_text() + "".join(capfd.readouterr())
    assert PASSWORD not in seen.lower()
    assert "a test's own stack" not in seen, "nor is the passphrase"


def test_make_preview_writes_the_comment_for_those_who_review_elsewhere(
    simple: Project, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "ci", simple.directory / "ci")
    comment = tmp_path / "comment.md"
    assert make(["preview", STACK, "--comment", str(comment)], simple.directory) == 0
    assert "**`test`**: 2 to create" in comment.read_text()


def test_a_stack_that_cannot_be_opened_says_why_in_the_comment(
    simple: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "passphrase"
    wrong.write_text("another passphrase")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(wrong))
    comment = tmp_path / "comment.md"
    assert preview.main(["--stack", STACK, "--comment", str(comment)], simple.directory) == 1
    assert "incorrect passphrase" in comment.read_text()
    assert "another passphrase" not in comment.read_text()


def test_a_state_in_a_bucket_is_opened_by_what_was_kept_of_the_secrets_and_only_read(
    simple: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = S3Server.start(tmp_path / "s3")
    try:
        handed = tmp_path / "github-env"
        given = {"PASSPHRASE": "a test's own stack", "GITHUB_ENV": str(handed)}
        given |= {"S3_ACCESS_KEY_ID": server.key, "S3_SECRET_ACCESS_KEY": server.secret}
        assert keep_secrets.main([str(tmp_path / "secrets")], given) == 0
        variables = dict(line.split("=", 1) for line in handed.read_text().splitlines())
        variables["PULUMI_BACKEND_URL"] = server.backend
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        remote = dataclasses.replace(simple, environment={**simple.environment, **variables})
        remote.cli("stack", "init", "--stack", f"organization/test-project/{STACK}")
        before = server.objects()
        comment = tmp_path / "comment.md"
        assert preview.main(["--stack", STACK, "--comment", str(comment)], simple.directory) == 0
        assert "**`test`**: 2 to create" in comment.read_text()
        assert server.objects() == before, "a preview needs credentials that may read, and no more"
    finally:
        server.stop()


def looked(project: Project, github: GitHubDouble) -> tuple[int, list[str]]:
    """One night: the code of the look, and the issues that are open after it."""
    plans = project.directory.with_name("plans.json")
    code = nightly.main(["look", "--stack", STACK, "--plans", str(plans)], project.directory)
    assert nightly.main(["tell", "--plans", str(plans)], project.directory, github.environment) == 0
    return code, [issue["body"] for issue in github.issues if issue["state"] == "open"]


def test_each_night_opens_updates_or_closes_the_one_issue(simple: Project, github: GitHubDouble) -> None:
    simple.up()
    stack_file = (simple.directory / f"Pulumi.{STACK}.yaml").read_text()
    assert looked(simple, github) == (0, [])

    simple.write(SIMPLE.replace("two", "three"))
    code, issues = looked(simple, github)
    assert code == 1
    assert len(issues) == 1
    assert "-two\n+three" in issues[0]

    simple.write(SIMPLE + "raise RuntimeError('web-1 does not answer')")
    code, issues = looked(simple, github)
    assert code == 2
    assert len(issues) == 1
    assert "web-1 does not answer" in issues[0]

    simple.write(SIMPLE)
    assert looked(simple, github) == (0, [])
    assert len(github.issues) == 1
    assert (simple.directory / f"Pulumi.{STACK}.yaml").read_text() == stack_file, "a look changes no file"


def test_the_night_asks_hosts_that_must_answer(simple: Project, github: GitHubDouble) -> None:
    simple.write(
        "import pulumi; pulumi.log.warn('observe ' + str(pulumi.Config('registry-cache').get('observe')))"
    )
    plans = simple.directory.with_name("plans.json")
    nightly.main(["look", "--stack", STACK, "--plans", str(plans)], simple.directory)
    (plan,) = json.loads(plans.read_text())["plans"]
    assert [message["text"] for message in plan["messages"]] == ["observe always"]
