"""Runs `pulumi preview` and reads what it came to."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ci.keep_secrets import PASSPHRASES
from ci.plan import Message, Plan, read_events

_LAST_LINES = 20


@dataclass(frozen=True)
class Outcome:
    """A preview's plan, and the code that the CLI ended with."""

    plan: Plan
    code: int


def preview(directory: Path, stack: str, environment: Mapping[str, str], *arguments: str) -> Outcome:
    """Previews a stack of the project in `directory`; shows on standard output what the CLI shows.

    A preview that fails is a plan too, with the reason in its messages.
    """
    environment = environment_of(stack, environment)
    with tempfile.TemporaryDirectory(prefix="registry-cache-preview-") as folder:
        log = Path(folder) / "events.jsonl"
        command = ["pulumi", "preview", "--diff", "--non-interactive", "--color", "never", "--stack", stack]
        command += ["--event-log", str(log), *policies(directory), *arguments]
        # The event log is a flag of the CLI for those who ask for such.
        asked = {**environment, "PULUMI_DEBUG_COMMANDS": "true"}
        shown: list[str] = []
        with subprocess.Popen(
            command,
            cwd=directory,
            env=asked,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                sys.stdout.write(line)
                shown.append(line)
        sys.stdout.flush()
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    secrets = secrets_in(environment)
    plan = read_events(stack, lines, secrets)
    if process.returncode != 0 and not plan.messages and not plan.changes:
        # It ended before the engine began: no such stack, a wrong passphrase.
        said = "".join(shown[-_LAST_LINES:]).strip()
        for secret in secrets:
            said = said.replace(secret, "[secret]")
        plan = replace(plan, failed=True, messages=(Message("error", said or "pulumi preview said nothing"),))
    return Outcome(plan, process.returncode)


def environment_of(stack: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with the stack's own passphrase, where it has one (ci/keep_secrets.py)."""
    folder = environment.get(PASSPHRASES)
    file = Path(folder) / f"passphrase-{stack}" if folder else None
    if file is None or not file.is_file():
        return dict(environment)
    return {**environment, "PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}


def policies(directory: Path) -> Sequence[str]:
    """The project's policy pack, where it has one."""
    return ("--policy-pack", "policy") if (directory / "policy" / "PulumiPolicy.yaml").is_file() else ()


def has_state(directory: Path, stack: str, environment: Mapping[str, str]) -> bool:
    """Whether the backend knows the stack. Raises RuntimeError where the backend does not answer."""
    done = subprocess.run(
        ["pulumi", "stack", "ls", "--json", "--non-interactive"],
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the stacks cannot be listed:\n{(done.stderr or done.stdout).strip()}")
    # Pulumi's service gives names as ORGANIZATION/NAME.
    return stack in {str(entry["name"]).rpartition("/")[2] for entry in json.loads(done.stdout)}


def secrets_in(environment: Mapping[str, str]) -> Iterable[str]:
    """What must be in no output: the passphrase, by whichever way the CLI gets it, and the token."""
    found = [environment.get("PULUMI_CONFIG_PASSPHRASE", ""), environment.get("PULUMI_ACCESS_TOKEN", "")]
    file = environment.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if file and Path(file).is_file():
        found.append(Path(file).read_text().strip())
    return tuple(secret for secret in found if len(secret) >= 6)
