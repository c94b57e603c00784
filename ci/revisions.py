"""What a change touches, asked of git."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Mapping
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
    named = {stack: _files_of_stack(root, head, stack, known) for stack in stacks}
    return touched(changed, stacks, named)


def _files_of_stack(root: Path, revision: str, stack: str, known: Collection[str]) -> frozenset[str]:
    """What the stack names, in its own file, in what all stacks share, and in the file that it includes."""
    contents = [_content(root, revision, file) for file in ("Pulumi.yaml", f"Pulumi.{stack}.yaml")]
    settings = [content.get("config") for content in contents if isinstance(content, Mapping)]
    keys = [item for config in settings if isinstance(config, Mapping) for item in config.items()]
    included = files_named([value for key, value in keys if str(key).rpartition(":")[2] == "include"], known)
    inside = [_content(root, revision, file) for file in included]
    return files_named([*settings, *inside], known)


def _content(root: Path, revision: str, file: str) -> object:
    try:
        content: object = yaml.safe_load(_git(root, "show", f"{revision}:{file}"))
    except (RuntimeError, UnicodeError, yaml.YAMLError):
        # Its preview will say so.
        return None
    return content


def _names(listing: str) -> tuple[str, ...]:
    return tuple(name for name in listing.split("\0") if name)


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"git {' '.join(arguments[:2])}: {done.stderr.strip()}")
    return done.stdout
