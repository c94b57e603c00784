"""Programs that lint and tests run and no package list has: built from Go modules, once, into the cache.

Inside `toolchain/run`: python -m toolchain.go_program actionlint    prints where it is
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from toolchain import go_build
from toolchain.cache import cache_directory, files_key, key_of, locked, make_once
from toolchain.pins import BUILD_FLAGS, LINK_FLAGS, Pins, read_pins
from toolchain.steps import SetupFailed, run, say, step

PROGRAMS = {"actionlint": "github.com/rhysd/actionlint/cmd/actionlint"}
"""Each program's package, pinned by go.mod and go.sum in the folder of its name beside this file."""


def program(pins: Pins, name: str, environment: Mapping[str, str]) -> Path:
    """Where the program is, built if need be. Raises SetupFailed with what to do."""
    module = pins.root / "toolchain" / name
    cache = cache_directory(environment)
    key = key_of(files_key((module / "go.mod", module / "go.sum"), pins.root), *BUILD_FLAGS, LINK_FLAGS)
    place = cache / "programs" / f"{name}-{key}"
    if not place.exists():
        with locked(cache):
            make_once(place, lambda unfinished: _build(pins, module, PROGRAMS[name], unfinished, environment))
    return place / name


def _build(pins: Pins, module: Path, package: str, target: Path, environment: Mapping[str, str]) -> None:
    go = go_build.ensure_go(pins, Path(sys.executable), cache_directory(environment), environment)
    with step(f"building {module.name} from Go modules"):
        run(
            [
                go,
                "build",
                "-C",
                module,
                *BUILD_FLAGS,
                "-ldflags",
                LINK_FLAGS,
                "-o",
                f"{target}{os.sep}",
                package,
            ],
            environment={**environment, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"},
            remedy="Go needs a module proxy (`go env GOPROXY`).",
        )


def main(arguments: list[str], root: Path) -> int:
    """Prints the program's path."""
    if len(arguments) != 1 or arguments[0] not in PROGRAMS:
        say(f"use: python -m toolchain.go_program {'|'.join(PROGRAMS)}")
        return 2
    try:
        print(program(read_pins(root), arguments[0], os.environ))
    except SetupFailed as failed:
        say(str(failed))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parent.parent))
