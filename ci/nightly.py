"""The nightly look for drift: `pulumi preview --expect-no-changes` for every stack, and one issue about it.

The issue is opened when something differs or cannot be looked at, brought up to date while that lasts, and
closed when all is as the stacks say. Inside `toolchain/run`:

    python -m ci.nightly look [--stack NAME …] --plans FILE    looks, without a token
    python -m ci.nightly tell --plans FILE                     keeps the issue, by GITHUB_TOKEN

`tell` needs nothing but Python, so that it also tells of a set-up that failed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ci import engine
from ci.comment import LIMIT, Origin, render
from ci.github import BOT, GitHub, GitHubError
from ci.plan import Message, NotAPlan, Plan, from_json, to_json
from ci.post import github_of, page_of
from ci.touched import stacks_of

ROOT = Path(__file__).resolve().parent.parent
MARKER = "<!-- registry-cache: drift -->"
TITLE = "Hosts are not as their stacks say"
_INTRODUCTION = (
    "A preview of what is on the default branch should show no changes. This one does, or could not be made: "
    "somebody changed a host by hand, or a merged change was not brought up. `up` puts right what is below; "
    "docs/operations/pull-requests.md says more. This issue is brought up to date every night, and closes by "
    "itself."
)


def look(root: Path, stack: str, environment: Mapping[str, str]) -> Plan:
    """What differs. A host that does not answer is a failure here: its silence must not pass for order."""
    print(f"== {stack}", flush=True)
    try:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", prefix=f"Pulumi.{stack}.") as file:
            file.write(_looking_everywhere(root / f"Pulumi.{stack}.yaml"))
            file.flush()
            return engine.preview(
                root, stack, environment, "--expect-no-changes", "--config-file", file.name
            ).plan
    except (OSError, RuntimeError, ValueError) as error:
        return _failed(stack, str(error))


def keep_issue(github: GitHub, plans: Sequence[Plan], origin: Origin, author: str = BOT) -> str:
    """Opens, updates or closes the one issue; says which."""
    number = github.open_issue(MARKER, author)
    if all(plan.is_clean for plan in plans):
        if number is None:
            return "all is as the stacks say"
        github.close_issue(number, f"All is as the stacks say again ([the run]({origin.page})).")
        return f"#{number}: closed"
    shown = [plan for plan in plans if not plan.is_clean]
    begin = f"{MARKER}\n\n{_INTRODUCTION}\n\n"
    body = begin + render(shown, origin, "What differs", LIMIT - len(begin))
    if number is None:
        return f"#{github.create_issue(TITLE, body)}: opened"
    github.update_issue(number, body)
    return f"#{number}: updated"


def _looking_everywhere(file: Path) -> str:
    """A stack's file, with hosts that must answer."""
    import yaml

    try:
        content = yaml.safe_load(file.read_text()) or {}
        config = {**(content.get("config") or {}), "registry-cache:observe": "always"}
    except (yaml.YAMLError, AttributeError, TypeError) as error:
        raise ValueError(f"{file.name} is no stack file: {error}") from None
    return yaml.safe_dump({**content, "config": config})


def _failed(stack: str, reason: str) -> Plan:
    return Plan(stack, failed=True, messages=(Message("error", reason),))


def main(arguments: Sequence[str], root: Path = ROOT, environment: Mapping[str, str] = os.environ) -> int:
    """Exit code of `look`: 1 where something differs, 2 where that could not be told."""
    parser = argparse.ArgumentParser(prog="python -m ci.nightly")
    parser.add_argument("action", choices=("look", "tell"))
    parser.add_argument("--stack", action="append", default=[], help="by default all but the lab's")
    parser.add_argument(
        "--plans", type=Path, required=True, help="what `look` writes and `tell` reads (JSON)"
    )
    options = parser.parse_args(arguments)
    if options.action == "tell":
        return _tell(_plans_in(options.plans), environment)
    stacks = options.stack or stacks_of(file.name for file in root.glob("Pulumi.*.yaml"))
    plans = [look(root, stack, environment) for stack in stacks]
    options.plans.write_text(to_json(plans))
    if any(plan.failed for plan in plans):
        return 2
    return 0 if all(plan.is_clean for plan in plans) else 1


def _plans_in(file: Path) -> Sequence[Plan]:
    try:
        return from_json(file.read_text())
    except (OSError, NotAPlan) as reason:
        return [_failed("every stack", f"the look left no plans, and the run says why: {reason}")]


def _tell(plans: Sequence[Plan], environment: Mapping[str, str]) -> int:
    run = int(environment.get("GITHUB_RUN_ID", "0"))
    origin = Origin(environment.get("GITHUB_SHA", ""), page_of(environment, run))
    try:
        print(keep_issue(github_of(environment), plans, origin))
    except GitHubError as error:
        print(f"ci.nightly: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
