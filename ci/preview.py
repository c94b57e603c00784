"""Previews of one or several stacks, as a comment and as the plans that the comment is made from.

Inside `toolchain/run`:

    python -m ci.preview --stack prod --comment FILE            what `up` would do to prod
    python -m ci.preview --base main --plans FILE               every stack that the change since main touches
    python -m ci.preview --base main --plans FILE --without-secrets fork
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ci import engine, throwaway
from ci.comment import Origin, render
from ci.plan import Message, Plan, to_json
from ci.revisions import merge_base, stacks_touched

ROOT = Path(__file__).resolve().parent.parent

REASONS = {
    "fork": "this pull request comes from a fork, which gets no secrets",
    "unset": "no backend is set for previews here",
}
NO_STATE = "the backend has no such stack yet"


def plan_of(
    root: Path, stack: str, base: str | None, without_secrets: str | None, environment: Mapping[str, str]
) -> Plan:
    """One stack's plan: against its state, or without one or the secrets to read it by, against `base`."""
    print(f"== preview of {stack}", flush=True)
    try:
        if base is not None and without_secrets is not None:
            return throwaway.preview(root, base, "HEAD", stack, REASONS[without_secrets], environment)
        if base is not None and not engine.has_state(root, stack, environment):
            return throwaway.preview(root, base, "HEAD", stack, NO_STATE, environment)
        return engine.preview(root, stack, environment).plan
    except (RuntimeError, OSError) as error:
        return Plan(stack, failed=True, messages=(Message("error", str(error)),))


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Exit code 1 where a preview failed; what it came to is written all the same."""
    parser = argparse.ArgumentParser(prog="python -m ci.preview")
    parser.add_argument(
        "--stack", action="append", default=[], help="by default those that the change touches"
    )
    parser.add_argument("--base", help="the revision that the change is to be merged into")
    parser.add_argument("--without-secrets", choices=sorted(REASONS), help="why there are none")
    parser.add_argument("--comment", type=Path, help="where to write the comment (Markdown)")
    parser.add_argument("--plans", type=Path, help="where to write the plans (JSON), for ci.post")
    options = parser.parse_args(arguments)
    if options.base is None and (options.without_secrets or not options.stack):
        parser.error("give --base, or --stack and its secrets")
    base = None if options.base is None else merge_base(root, options.base)
    stacks = options.stack or stacks_touched(root, base or "")
    plans = [plan_of(root, stack, base, options.without_secrets, os.environ) for stack in stacks]
    if options.plans is not None:
        options.plans.write_text(to_json(plans))
    if options.comment is not None:
        options.comment.write_text(render(plans, Origin()))
        print(f"== written: {options.comment}")
    return 1 if any(plan.failed for plan in plans) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
