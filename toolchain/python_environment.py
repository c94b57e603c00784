"""The one virtual environment: the program, offline plugins, lab, tests and lint, locked with hashes."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from toolchain.pins import Pins
from toolchain.steps import SetupFailed, run, step

PIP_INSTALL = (
    "-m",
    "pip",
    "install",
    "--quiet",
    "--disable-pip-version-check",
    "--no-deps",
    "--require-hashes",
)
"""After a Python's name: installs exactly what is locked, with the machine's own settings for pip."""

COMPLETE = "complete"
"""The file that marks a whole environment. Its scripts name their own path, so it can't be made aside."""


def is_complete(place: Path) -> bool:
    """Whether the environment at `place` was made to the end."""
    return (place / COMPLETE).is_file()


def make_environment(pins: Pins, place: Path) -> None:
    """Makes the environment at `place`, without what a killed run left there. Needs the cache's lock."""
    shutil.rmtree(place, ignore_errors=True)
    _need_venv()
    with step("installing the locked Python packages (half a minute, once)"):
        base = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
        python = base if base.is_file() else Path(sys.executable)
        run([python, "-m", "venv", place], remedy="See above what Python says is missing.")
        requirements = [part for file in pins.requirements for part in ("--requirement", file)]
        run(
            [place / "bin" / "python", *PIP_INSTALL, *requirements],
            remedy="pip needs a package index it can reach: see `pip config list`. Then run it again.",
        )
        (place / COMPLETE).touch()


def _need_venv() -> None:
    """Debian and Ubuntu split venv off Python; as root it is installed, else the command is told."""
    if importlib.util.find_spec("ensurepip") is not None and importlib.util.find_spec("venv") is not None:
        return
    install = ["apt-get", "install", "--yes", "--no-install-recommends", "python3-venv"]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SetupFailed(f"this Python has no venv module. Install it: sudo {' '.join(install)}")
    with step("installing python3-venv"):
        run(["apt-get", "update"], remedy="apt needs its package sources.")
        run(
            install,
            environment={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            remedy="Install it by hand.",
        )
