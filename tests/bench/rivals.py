"""Ansible and pyinfra, in a Python environment of their own in the user's cache folder."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from toolchain.cache import cache_directory, key_of, locked
from toolchain.steps import run, step

REQUIREMENTS = Path(__file__).parent / "requirements.txt"
COMPLETE = "complete"


def rivals_bin() -> Path:
    """The folder with `ansible-playbook` and `pyinfra`, made if need be. May raise SetupFailed."""
    cache = cache_directory(os.environ)
    place = cache / "bench" / key_of(REQUIREMENTS.read_text(), sys.version)
    if not (place / COMPLETE).is_file():
        with locked(cache), step("installing the locked Ansible and pyinfra"):
            _install(place)
    return place / "bin"


def _install(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    run([sys.executable, "-m", "venv", place], remedy="See above what Python says is missing.")
    pip: list[str | Path] = [place / "bin" / "python", "-m", "pip", "install", "--quiet"]
    run(
        [*pip, "--disable-pip-version-check", "--no-deps", "--require-hashes", "--requirement", REQUIREMENTS],
        remedy="pip needs a package index it can reach: see `pip config list`. Then run it again.",
    )
    (place / COMPLETE).touch()
