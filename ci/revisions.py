"""What a change touches, asked of git."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

import yaml

from ci.touched import files_named, stacks_of, touched


def merge_base(root: Path, base: str, head: str = "HEAD") -> str:
    """The commit that the change starts from."""
    return _git(root, "merge-base", base, head).strip()


def files_of(root: Path, revision: str) -> tuple[str, ...]:
    """The files of a revision."""
    return _names(_git(root, "ls-tree", "-r", "-z", "--name-only", revision))


def stacks_touched(root: Path, base: str, head: str = "HEAD") -> tuple[str, ...]:
    """The stacks of `head` that the change from `base` touches."""
    changed = _names(_git(root, "diff", "--name-only", "--no-renames", "-z", base, head))
    there = files_of(root, head)
    stacks = stacks_of(there)
    # A file that is gone is still named by the stack that needs it.
    known = {*there, *changed}
    named = {stack: files_named(_settings(root, head, stack), known) for stack in stacks}
    return touched(changed, stacks, named)


def _settings(root: Path, revision: str, stack: str) -> object:
    text = _git(root, "show", f"{revision}:Pulumi.{stack}.yaml")
    try:
        content: object = yaml.safe_load(text)
    except yaml.YAMLError:
        # Its preview will say so.
        return None
    return content.get("config") if isinstance(content, Mapping) else None


def _names(listing: str) -> tuple[str, ...]:
    return tuple(name for name in listing.split("\0") if name)


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"git {' '.join(arguments[:2])}: {done.stderr.strip()}")
    return done.stdout
