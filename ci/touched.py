"""Which stacks there are, and which of them a change touches.

python -m ci.touched    all but the lab's, as a JSON list, in the order in which they are brought up
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

LAB_STACK = "dev"
"""The stack of the lab on one machine: it has no hosts that a review could be about."""

LAST = "prod"
"""Comes after the others: what is wrong with a change shows on them first."""

_STACK_FILE = re.compile(r"Pulumi\.(.+)\.yaml")
_ALL = re.compile(
    r"Pulumi\.yaml|__main__\.py|requirements(-dev)?\.(in|txt)|components/.+|policy/.+", re.IGNORECASE
)


def stacks_of(files: Iterable[str]) -> tuple[str, ...]:
    """The stacks whose files are among `files`, paths from the project's directory on; the lab's is none."""
    found = {match[1] for file in files if (match := _STACK_FILE.fullmatch(file))}
    return tuple(sorted(found - {LAB_STACK}, key=lambda stack: (stack == LAST, stack)))


def touched(
    changed: Iterable[str], stacks: Iterable[str], named: Mapping[str, Collection[str]]
) -> tuple[str, ...]:
    """Those of `stacks` that a change of the files `changed` touches, in the order of `stacks`.

    A stack's own file touches it, and so does a file that it names (`named`: an inventory that it includes, a
    certificate). The program, its packages and its policies touch all.
    """
    paths = set(changed)
    everything = any(_ALL.fullmatch(path) for path in paths)
    return tuple(
        stack
        for stack in stacks
        if everything or f"Pulumi.{stack}.yaml" in paths or paths & set(named.get(stack, ()))
    )


def files_named(settings: object, there: Collection[str]) -> frozenset[str]:
    """The files among `there` that some text within a stack's settings names."""
    if isinstance(settings, str):
        path = posixpath.normpath(settings)
        return frozenset({path} & set(there))
    if isinstance(settings, Mapping):
        return frozenset().union(*(files_named(value, there) for value in settings.values()))
    if isinstance(settings, list | tuple):
        return frozenset().union(*(files_named(value, there) for value in settings))
    return frozenset()


if __name__ == "__main__":
    print(
        json.dumps(
            stacks_of(file.name for file in Path(__file__).resolve().parent.parent.glob("Pulumi.*.yaml"))
        )
    )
