"""A new stack's file: the keys that were given, with a word on each, as a person would write it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from components.adoption import stack_file

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
"""What Pulumi takes as a stack's name."""

ABOUT = {
    "ssh": "How the hosts are logged in to: as root, or as a user with sudo without a password.",
    "mirrors": "The hosts that run the caches, in the order in which clients try them.",
    "clients": "The hosts that pull through them, besides the mirrors themselves.",
    "access": "Who may reach the caches: the clients' networks, and nobody else.",
    "upstreams": "One cache for each registry. Docker itself asks mirrors for docker.io only.",
    "cache": "What the caches keep.",
}
HEAD = """\
# The stack {name}, written by `make new-stack`: yours to edit.
# Every setting: docs/configuration.md; more of them as an example: Pulumi.prod.yaml.
#
#   make preview STACK={name}      # says what would be done, touches nothing
#   make up STACK={name}
"""


def render(name: str, settings: Mapping[str, object]) -> str:
    """The text of Pulumi.<name>.yaml."""
    return HEAD.format(name=name) + stack_file.render(settings, {key: [text] for key, text in ABOUT.items()})


def write_new(root: Path, name: str, text: str) -> Path:
    """Writes the file of a new stack. Raises FileExistsError, and never overwrites one."""
    file = root / f"Pulumi.{name}.yaml"
    with file.open("x", encoding="utf-8") as new:
        new.write(text)
    return file
