"""GitHub's API as we use it, against a GitHub of the tests' own: one comment, one issue, no token astray."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ci import engine, nightly, post
from ci.comment import LIMIT, MARKER, Origin
from ci.github import BOT, GitHub, GitHubError
from ci.plan import Change, Message, Plan, from_json, to_json
from tests.github_double import REPOSITORY, TOKEN, GitHubDouble, running

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "a" * 40
HEAD = "stranger:fix"
CLEAN = Plan("prod")
DRIFTED = Plan(
    "prod",
    hosts=("web-1",),
    changes=(
        Change(
            "web-1-mirror-client",
            "command:remote:Command",
            "update",
            {"create": "d1 apply u t h"},
            {"create": "d2 apply u t h"},
        ),
    ),
)
SILENT = Plan("prod", failed=True, messages=(Message("error", "web-1 does not answer"),))


@pytest.fixture
def github() -> Iterator[GitHubDouble]:
    with running() as double:
        yield double


def bodies(github: GitHubDouble, number: int) -> list[str]:
    return [str(comment["body"]) for comment in github.comments.get(number, [])]


def test_the_first_comment_is_made_and_later_ones_update_it_past_pages_of_others(
    github: GitHubDouble,
) -> None:
    for number in range(5):
        github.say(7, f"{number}", author="someone")
    assert github.client.put_comment(7, MARKER, f"{MARKER} one") == "created"
    for number in range(5):
        github.say(7, f"{number}", author="someone")
    assert github.client.put_comment(7, MARKER, f"{MARKER} two") == "updated"
    assert [body for body in bodies(github, 7) if MARKER in body] == [f"{MARKER} two"]


def test_a_comment_of_somebody_else_with_our_marker_is_left_alone(github: GitHubDouble) -> None:
    github.say(7, f"{MARKER} planted", author="stranger")
    assert github.client.put_comment(7, MARKER, f"{MARKER} ours") == "created"
    assert bodies(github, 7) == [f"{MARKER} planted", f"{MARKER} ours"]


def test_two_comments_of_runs_that_met_become_one(github: GitHubDouble) -> None:
    for _ in range(3):
        github.say(7, f"{MARKER} old")
    assert github.client.put_comment(7, MARKER, f"{MARKER} new") == "updated"
    assert bodies(github, 7) == [f"{MARKER} new"]


def test_the_pull_request_is_the_one_that_github_has_for_the_commit(github: GitHubDouble) -> None:
    for number in range(4):
        github.pull_request(number, "b" * 40, HEAD)
    github.pull_request(8, COMMIT, "other:fix")
    github.pull_request(9, COMMIT, HEAD)
    github.pull_request(10, COMMIT, HEAD, state="closed")
    assert github.client.pull_requests_at(COMMIT, HEAD) == [9]


def test_an_artifact_is_found_past_others_and_its_storage_never_sees_the_token(github: GitHubDouble) -> None:
    for name in ("logs", "coverage", "plans"):
        github.leave_artifact(77, name, {"plans.json": f"of {name}"})
    assert github.client.artifact(77, "plans", "plans.json") == "of plans"
    assert github.client.artifact(77, "nothing", "plans.json") is None


def test_an_artifact_without_the_file_is_told_and_does_not_pass_for_none(github: GitHubDouble) -> None:
    github.leave_artifact(77, "plans", {"other.txt": ""})
    with pytest.raises(GitHubError, match=r"no readable plans\.json"):
        github.client.artifact(77, "plans", "plans.json")


def test_an_artifact_that_unpacks_to_more_than_we_take_is_refused(github: GitHubDouble) -> None:
    github.leave_artifact(77, "plans", {"plans.json": "0" * 21_000_000})
    with pytest.raises(GitHubError, match="more than"):
        github.client.artifact(77, "plans", "plans.json")


def test_an_error_names_the_request_and_what_github_said_and_never_the_token(github: GitHubDouble) -> None:
    with pytest.raises(GitHubError, match="401 Bad credentials") as refused:
        replace(github.client, token="wrong-token").put_comment(7, MARKER, "x")
    assert "wrong-token" not in str(refused.value)
    with pytest.raises(GitHubError, match="404 Not Found"):
        github.client.update_issue(99, "x")
    with pytest.raises(GitHubError, match="422 Body is too long"):
        github.client.create_issue("x", "x" * (LIMIT + 1))


def test_a_github_that_does_not_answer_is_an_error_of_its_own_kind() -> None:
    with running() as gone:
        client = gone.client
    with pytest.raises(GitHubError, match="refused"):
        client.create_issue("x", "y")


def test_a_token_goes_over_tls_only() -> None:
    with pytest.raises(GitHubError, match="https"):
        GitHub("http://github.example", REPOSITORY, TOKEN).create_issue("x", "y")


def test_the_token_shows_in_no_representation(github: GitHubDouble) -> None:
    assert TOKEN not in repr(github.client)


def posted(github: GitHubDouble, *arguments: str) -> int:
    given = ["--run", "77", "--commit", COMMIT, "--head", HEAD, *arguments]
    return post.main(given, github.environment)


def test_the_plans_of_a_run_become_one_comment_that_a_second_run_updates(github: GitHubDouble) -> None:
    github.pull_request(9, COMMIT, HEAD)
    github.leave_artifact(77, "plans", {"plans.json": to_json([DRIFTED, Plan("staging")])})
    assert posted(github) == 0
    github.artifacts.clear()
    github.leave_artifact(77, "plans", {"plans.json": to_json([CLEAN])})
    assert posted(github) == 0
    (comment,) = bodies(github, 9)
    assert "**`prod`**: no changes" in comment
    assert "[the run](https://github.example/example/caches/actions/runs/77)" in comment


def test_plans_that_a_stranger_made_up_change_nothing_but_what_the_comment_says(github: GitHubDouble) -> None:
    github.pull_request(9, COMMIT, HEAD)
    github.leave_artifact(77, "plans", {"plans.json": '{"plans": [{"stack": 1}], "number": 1}'})
    assert posted(github) == 0
    (comment,) = bodies(github, 9)
    assert "no plans that can be read" in comment
    assert set(github.comments) == {9}


def test_a_run_of_an_older_commit_posts_nothing(github: GitHubDouble) -> None:
    github.pull_request(9, "b" * 40, HEAD)
    github.leave_artifact(77, "plans", {"plans.json": to_json([CLEAN])})
    assert posted(github) == 0
    assert not github.comments


def test_a_run_that_left_nothing_posts_nothing(github: GitHubDouble) -> None:
    github.pull_request(9, COMMIT, HEAD)
    assert posted(github) == 0
    assert not github.comments


def test_a_commit_that_is_none_is_refused_before_anything_is_asked(github: GitHubDouble) -> None:
    with pytest.raises(SystemExit):
        posted(github, "--commit", "$(id)")
    assert not github.requests


def told(github: GitHubDouble, *plans: Plan) -> str:
    return nightly.keep_issue(github.client, plans, Origin(COMMIT, "https://github.example/run"))


def open_issues(github: GitHubDouble) -> list[str]:
    return [issue["body"] for issue in github.issues if issue["state"] == "open"]


def test_drift_opens_one_issue_that_later_nights_update_and_a_clean_one_closes(github: GitHubDouble) -> None:
    assert told(github, CLEAN) == "all is as the stacks say"
    assert not github.issues
    assert told(github, CLEAN, DRIFTED).endswith(": opened")
    (body,) = open_issues(github)
    assert "`web-1`: daemon.json again; reload" in body
    assert told(github, SILENT).endswith(": updated")
    (body,) = open_issues(github)
    assert "web-1 does not answer" in body
    assert told(github, CLEAN).endswith(": closed")
    assert not open_issues(github)
    (issue,) = github.issues
    assert issue["state_reason"] == "completed"
    assert "again" in bodies(github, issue["number"])[0]


def test_after_a_closed_issue_the_next_drift_opens_a_new_one(github: GitHubDouble) -> None:
    told(github, DRIFTED)
    told(github, CLEAN)
    assert told(github, DRIFTED).endswith(": opened")
    assert len(github.issues) == 2


def test_a_host_that_does_not_answer_keeps_the_issue_open(github: GitHubDouble) -> None:
    told(github, DRIFTED)
    assert told(github, SILENT, CLEAN).endswith(": updated")


def test_a_stack_file_that_cannot_be_read_is_that_stacks_failure_and_no_other_ones(
    github: GitHubDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stack, text in {"broken": "config: [\n", "list": "- config\n", "right": "config: {}\n"}.items():
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(text)
    # The engine's part, which tests/preview/test_ci_previews.py has.
    monkeypatch.setattr(engine, "preview", lambda _root, stack, *_: engine.Outcome(Plan(stack), 0))
    plans = tmp_path / "plans.json"
    asked = ["--stack", "broken", "--stack", "gone", "--stack", "list", "--stack", "right"]
    assert nightly.main(["look", *asked, "--plans", str(plans)], tmp_path) == 2
    found = from_json(plans.read_text())
    assert [(plan.stack, plan.failed) for plan in found] == [
        ("broken", True),
        ("gone", True),
        ("list", True),
        ("right", False),
    ]
    assert nightly.main(["tell", "--plans", str(plans)], tmp_path, github.environment) == 0
    (body,) = open_issues(github)
    for said in ("Pulumi.broken.yaml", "Pulumi.gone.yaml", "Pulumi.list.yaml"):
        assert said in body


@pytest.mark.parametrize("left", [None, '{"plans": ['])
def test_a_night_without_plans_keeps_the_issue_open_and_needs_no_package(
    left: str | None, github: GitHubDouble, tmp_path: Path
) -> None:
    """A set-up that fails leaves no toolchain to run in, either."""
    told(github, DRIFTED)
    plans = tmp_path / "plans.json"
    if left is not None:
        plans.write_text(left)
    command = [sys.executable, "-S", "-m", "ci.nightly", "tell", "--plans", str(plans)]
    done = subprocess.run(
        command, cwd=ROOT, env=github.environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.endswith(": updated\n"), done.stderr
    (body,) = open_issues(github)
    assert "the look left no plans" in body


def test_issues_of_others_and_pull_requests_are_no_issue_of_ours(github: GitHubDouble) -> None:
    github.issue(f"{nightly.MARKER} planted", author="stranger")
    for _ in range(3):
        github.issue("something else")
    github.issue(f"{nightly.MARKER} a pull request", pull_request={})
    assert told(github, CLEAN) == "all is as the stacks say"
    assert told(github, DRIFTED).endswith(": opened")
    assert github.issues[-1]["user"]["login"] == BOT


def test_an_issue_about_much_drift_is_as_short_as_github_wants_it(github: GitHubDouble) -> None:
    changes = tuple(
        Change(
            f"web-{n}-firewall", "command:remote:Command", "update", {"stdin": ""}, {"stdin": f"{n}\n" * 900}
        )
        for n in range(90)
    )
    told(github, Plan("prod", hosts=tuple(f"web-{n}" for n in range(90)), changes=changes))
    (body,) = open_issues(github)
    assert LIMIT * 0.8 < len(body) <= LIMIT
