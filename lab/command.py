"""Running programs of this machine, with the program's own words in the error."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError


def output_of(
    argv: Sequence[str],
    *,
    stdin: str | bytes | None = None,
    timeout: float = 600,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """The standard output of `argv`; a failure or `timeout` (seconds) raises LabError with its last lines."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        done = subprocess.run(
            argv,
            input=data,
            stdin=subprocess.DEVNULL if data is None else None,
            capture_output=True,
            timeout=timeout,
            cwd=directory,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{' '.join(argv[:4])} …` did not end within {timeout:.0f} s") from error
    except FileNotFoundError as error:
        raise LabError(
            f"{argv[0]} is not installed; `python -m lab up` installs what the lab needs"
        ) from error
    if done.returncode != 0:
        words = (done.stderr + done.stdout).decode(errors="replace").strip().splitlines()[-15:]
        shown = "\n  ".join(words) or "(it said nothing)"
        raise LabError(f"`{' '.join(argv[:6])} …` failed with exit code {done.returncode}:\n  {shown}")
    return done.stdout.decode(errors="replace")


def docker(*arguments: str, stdin: str | bytes | None = None, timeout: float = 600) -> str:
    """The standard output of `docker ARGUMENTS…` on this machine's engine, stripped."""
    return output_of(["docker", *arguments], stdin=stdin, timeout=timeout).strip()


def missing_programs(names: Sequence[str]) -> list[str]:
    """Those of `names` that are not on PATH."""
    return [name for name in names if shutil.which(name) is None]
