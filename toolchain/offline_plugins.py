"""Installs this project's offline plugins where the CLI looks for official ones."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from toolchain.cache import files_key, key_of, make_once
from toolchain.pins import Pins
from toolchain.steps import run

CODE = "code"


def source_files(root: Path) -> list[Path]:
    """The plugins' source: what decides how they behave."""
    package = root / "toolchain" / "plugins" / "offline_plugins"
    return [file for file in package.rglob("*") if file.is_file() and "__pycache__" not in file.parts]


def plugins_key(pins: Pins, python: Path) -> str:
    """A key of the plugins' code, versions and interpreter, so that an edit in one clone touches no other."""
    launcher = pins.root / "toolchain" / "offline_plugins.py"
    versions = " ".join(f"{name}={version}" for name, version in pins.plugins.items())
    return key_of(files_key([*source_files(pins.root), launcher], pins.root), versions, str(python))


def install_offline_plugins(pins: Pins, python: Path, place: Path) -> None:
    """Makes `place` with a `plugins` folder as a PULUMI_HOME has it, if need be. Needs the cache's lock."""

    def fill(unfinished: Path) -> None:
        package = unfinished / CODE / "offline_plugins"
        shutil.copytree(
            pins.root / "toolchain" / "plugins" / "offline_plugins",
            package,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        # Compiled for the place where it will stand: plugins start at every preview.
        run(
            [python, "-m", "compileall", "-q", "-s", unfinished, "-p", place, unfinished / CODE],
            remedy="The plugins' source has a mistake: see the file and line above.",
        )
        for name, version in pins.plugins.items():
            folder = unfinished / "plugins" / f"resource-{name}-v{version}"
            folder.mkdir(parents=True)
            launcher = folder / f"pulumi-resource-{name}"
            launcher.write_text(launcher_text(name, python, place / CODE))
            launcher.chmod(0o755)

    make_once(place, fill)


def launcher_text(name: str, python: Path, code: Path) -> str:
    """The executable of one plugin.

    -I: neither the user's Python settings nor files in the current folder may change what is imported; and no
    PYTHONPATH, as the commands that a plugin runs on this machine would inherit it.
    """
    start = (
        f"import runpy, sys; sys.path.insert(0, {str(code)!r}); "
        f"runpy.run_module('offline_plugins.{name}', run_name='__main__', alter_sys=True)"
    )
    return f'#!/bin/sh\nexec {shlex.quote(str(python))} -I -c {shlex.quote(start)} "$@"\n'
