"""The environment variables under which `toolchain/run` runs a command."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from toolchain.tools import Tools

DEV = "dev"
"""The stack of the lab on this machine: everything about it is this project's own."""


def stack_of(environment: Mapping[str, str]) -> str:
    """The stack that is worked on: STACK, as make passes it on, else the lab's."""
    return environment.get("STACK") or DEV


def state_directory(root: Path) -> Path:
    """What belongs to this clone and must not be committed: state, the lab's keys."""
    return root / ".state"


def variables(environment: Mapping[str, str], root: Path, tools: Tools) -> dict[str, str]:
    """The environment of a command: what the user has set, with the toolchain's in front.

    The user's own PULUMI_BACKEND_URL wins. A stack other than dev uses the user's login and passphrase.
    """
    stack = stack_of(environment)
    result = dict(environment)
    first = [str(tools.python.parent), str(tools.cli_directory)]
    rest = [
        part for part in environment.get("PATH", os.defpath).split(os.pathsep) if part and part not in first
    ]
    result["PATH"] = os.pathsep.join([*first, *rest])
    # Leads Python to another interpreter's library.
    result.pop("PYTHONHOME", None)
    result["PULUMI_SKIP_UPDATE_CHECK"] = "true"

    credentials = credentials_directory(environment)
    if tools.plugins is not None:
        # A home of this clone's own, so that the user's other projects do not get offline plugins under the
        # official names. The login stays where the user has it.
        result["PULUMI_HOME"] = str(tools.pulumi_home)
        result["PULUMI_CREDENTIALS_PATH"] = str(credentials)
        result["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"

    if not environment.get("PULUMI_BACKEND_URL") and (stack == DEV or not logged_in(credentials)):
        # Without `metadata=skip` the CLI keeps a second file beside each, written in more than one step: what
        # reads the state in between, or after a kill in between, fails ("failed to load checkpoint: EOF").
        result["PULUMI_BACKEND_URL"] = f"file://{state_directory(root) / 'pulumi'}?metadata=skip"
    if stack == DEV:
        result.pop("PULUMI_CONFIG_PASSPHRASE", None)
        result["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(root / "lab" / "passphrase")
    return result


def credentials_directory(environment: Mapping[str, str]) -> Path:
    """Where the user's Pulumi login is kept, by the CLI's own order."""
    for name in ("PULUMI_CREDENTIALS_PATH", "PULUMI_HOME"):
        if environment.get(name):
            return Path(environment[name])
    return Path(environment.get("HOME") or "/") / ".pulumi"


def logged_in(credentials: Path) -> bool:
    """Whether `pulumi login` chose a backend. A file that cannot be read is the CLI's to complain about."""
    try:
        content = json.loads((credentials / "credentials.json").read_text())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and bool(content.get("current"))
