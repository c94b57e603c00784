"""A host for the command plugin's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.preview.loopback_sshd import LoopbackSshd


@pytest.fixture
def start_sshd(tmp_path: Path) -> Iterator[Callable[..., LoopbackSshd]]:
    """Starts servers: `start_sshd(rules)`; they end with the test."""
    started: list[LoopbackSshd] = []

    def start(rules: str = "") -> LoopbackSshd:
        started.append(LoopbackSshd.start(tmp_path / f"sshd-{len(started)}", rules))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def sshd(start_sshd: Callable[..., LoopbackSshd]) -> LoopbackSshd:
    """A stock server."""
    return start_sshd()
