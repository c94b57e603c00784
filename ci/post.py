"""Posts the plans that a pull request's run has left as the one comment on that pull request.

Runs from the default branch, with a token that may write comments, and with nothing of the pull request's but
the plans: they are data, of which nothing is believed. Which pull request it is, GitHub says, not the data.

    GITHUB_TOKEN=… python -m ci.post --run 123 --commit SHA --head OWNER:BRANCH
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence

from ci.comment import MARKER, Origin, render
from ci.github import BOT, GitHub, GitHubError
from ci.plan import NotAPlan, from_json

ARTIFACT = "plans"
FILE = "plans.json"


def post(github: GitHub, run: int, commit: str, head: str, page: str, author: str = BOT) -> list[str]:
    """Has the comment on each open pull request whose newest commit this is; what was done, a line each."""
    numbers = github.pull_requests_at(commit, head)
    if not numbers:
        return [f"no open pull request has {commit} as its newest commit: nothing to post"]
    text = github.artifact(run, ARTIFACT, FILE)
    if text is None:
        return [f"the run {run} left no plans: nothing to post"]
    try:
        body = render(from_json(text), Origin(commit, page))
    except NotAPlan as reason:
        body = f"{MARKER}\n\n### Previews\n\nThe run left no plans that can be read: see [its log]({page}).\n"
        print(f"not a plan: {reason}", file=sys.stderr)
    return [f"#{number}: comment {github.put_comment(number, MARKER, body, author)}" for number in numbers]


def github_of(environment: Mapping[str, str]) -> GitHub:
    """The repository and the token of a workflow's step."""
    url = environment.get("GITHUB_API_URL", "https://api.github.com")
    return GitHub(url, environment["GITHUB_REPOSITORY"], environment["GITHUB_TOKEN"])


def page_of(environment: Mapping[str, str], run: int) -> str:
    """The page of a run."""
    server = environment.get("GITHUB_SERVER_URL", "https://github.com")
    return f"{server}/{environment['GITHUB_REPOSITORY']}/actions/runs/{run}"


def main(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Exit code 1 where GitHub refuses."""
    parser = argparse.ArgumentParser(prog="python -m ci.post")
    parser.add_argument("--run", type=int, required=True, help="the run of the pull request's workflow")
    parser.add_argument("--commit", required=True, help="the commit that it ran for")
    parser.add_argument("--head", required=True, help="OWNER:BRANCH of the pull request")
    options = parser.parse_args(arguments)
    if not re.fullmatch(r"[0-9a-f]{40}", options.commit):
        parser.error("--commit is no commit")
    try:
        done = post(
            github_of(environment),
            options.run,
            options.commit,
            options.head,
            page_of(environment, options.run),
        )
    except GitHubError as error:
        print(f"ci.post: {error}", file=sys.stderr)
        return 1
    print("\n".join(done))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
