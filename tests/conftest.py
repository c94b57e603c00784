"""Markers by directory, and the real engine on programs of a test's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.pulumi_project import Project
from toolchain.cache import cache_directory
from toolchain.pins import read_pins
from toolchain.tools import offline_plugins

ROOT = Path(__file__).resolve().parent.parent
TIERS = ("unit", "preview", "lab")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks each test with the tier whose directory it lies in."""
    for item in items:
        tier = item.path.relative_to(ROOT / "tests").parts[0]
        if tier not in TIERS:
            raise pytest.UsageError(f"{item.path} lies in no tier: move it into one of {', '.join(TIERS)}")
        item.add_marker(tier)


@pytest.fixture(scope="session")
def plugins() -> Path:
    """A PULUMI_HOME's `plugins` folder with this clone's offline plugins, whatever else it has."""
    pins = read_pins(ROOT)
    return offline_plugins(pins, cache_directory(os.environ), Path(sys.executable)) / "plugins"


@pytest.fixture
def pulumi_project(tmp_path: Path, plugins: Path) -> Callable[..., Project]:
    """Makes projects with a backend and PULUMI_HOME of their own: `pulumi_project(program, config)`.

    `program` is the text of __main__.py. `config` maps full keys (`test-project:key`, `docker:host` for a
    provider's setting) to plain values. Nothing is destroyed at the end: that is the test's to do.
    """
    count = 0

    def make(program: str, config: Mapping[str, object] | None = None) -> Project:
        nonlocal count
        count += 1
        return Project.of_program(tmp_path / f"project-{count}", plugins, program, config or {})

    return make


@pytest.fixture
def clone_project(tmp_path: Path, plugins: Path) -> Callable[[Mapping[str, object]], Project]:
    """Makes a project of this clone's own program, copied; its configuration has `registry-cache:…` keys."""

    def make(config: Mapping[str, object]) -> Project:
        return Project.of_clone(tmp_path / "clone", plugins, ROOT, config)

    return make
