"""A lab of the test run's own, and stacks of the project's program on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

import pytest

from lab import Lab
from tests.pulumi_project import Project

StackMaker: TypeAlias = Callable[..., Project]
LAB_TEST_SECONDS = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Times the tests alone: the first one of a run waits for the lab's images to be built."""
    for item in items:
        if "lab" in item.path.parts:
            item.add_marker(pytest.mark.timeout(LAB_TEST_SECONDS, func_only=True))


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab for the whole run, with mirror-1, client-1 and client-2; removed at the end, however that comes.

    A test that needs other hosts asks for them by `lab.up([...])`, and for blank ones by `lab.renew([...])`.
    """
    own = Lab(f"test-{os.getpid()}", tmp_path_factory.mktemp("lab"))
    try:
        own.up()
        yield own
    finally:
        own.down()


@pytest.fixture
def stack(lab: Lab, clone_project: Callable[[Mapping[str, object]], Project]) -> StackMaker:
    """Makes a stack of this project's program on the lab: `stack(mirrors=[…], clients=[…], tls={…}, …)`.

    Keywords beside `mirrors` and `clients` (names of hosts) replace whole sections of the configuration.
    """

    def make(mirrors: Sequence[str], clients: Sequence[str], **sections: object) -> Project:
        settings = {**lab.stack(mirrors, clients), **sections}
        return clone_project({f"registry-cache:{key}": value for key, value in settings.items()})

    return make
