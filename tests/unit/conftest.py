"""What several of the unit tests need."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.settings_sample import make_home


@pytest.fixture(scope="session")
def user_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home directory with SSH keys of several kinds."""
    directory = tmp_path_factory.mktemp("home")
    make_home(directory)
    return directory


@pytest.fixture
def project(tmp_path: Path, user_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project directory of a user who has keys."""
    monkeypatch.setenv("HOME", str(user_home))
    return tmp_path
