"""Which Pulumi to take: what is on PATH, the official installer, or Go modules."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum

Version = tuple[int, int, int]


class Way(Enum):
    """How the CLI got here; the value is what a person reads."""

    ON_PATH = "from PATH"
    INSTALLER = "from Pulumi's installer"
    GO_MODULES = "built from Go modules"


def parse_version(text: str) -> Version | None:
    """The first `X.Y.Z` or `X.Y` in `text`, or None. A pre-release counts as the release that it leads to."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if found is None:
        return None
    return int(found[1]), int(found[2]), int(found[3] or 0)


def new_enough(found: str, minimum: str) -> bool:
    """Whether `found` names a version of `minimum`'s major version that is `minimum` or later."""
    have, need = parse_version(found), parse_version(minimum)
    return have is not None and need is not None and have[0] == need[0] and have >= need


def choose(
    *, on_path: str | None, language_host_on_path: bool, minimum: str, installer_answers: Callable[[], bool]
) -> Way:
    """The way to take. `on_path` is what `pulumi version` on PATH says, None where there is none.

    A CLI without the Python language host cannot run this program, so it does not count. `installer_answers`
    costs seconds where it does not, and is only asked when it matters.
    """
    if on_path is not None and language_host_on_path and new_enough(on_path, minimum):
        return Way.ON_PATH
    return Way.INSTALLER if installer_answers() else Way.GO_MODULES
