"""A lab of the test run's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from lab import Lab

LAB_TEST_SECONDS = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Times the tests alone: the first one of a run waits for the lab's images to be built."""
    for item in items:
        if "lab" in item.path.parts:
            item.add_marker(pytest.mark.timeout(LAB_TEST_SECONDS, func_only=True))


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab for the whole run, with mirror-1, client-1 and client-2; removed at the end, however that comes.

    A test that needs other hosts takes them by `guests`, one that needs blank ones by `lab.renew([…])`.
    """
    own = Lab(f"test-{os.getpid()}", tmp_path_factory.mktemp("lab"))
    try:
        own.up()
        yield own
    finally:
        own.down()


@pytest.fixture
def guests(lab: Lab) -> Iterator[Callable[..., None]]:
    """Has the hosts of these names: `guests("stranger")`. Those that were not there before are blank.

    They go at the end of the test: the hosts of a machine share what is scarce there.
    """
    invited: set[str] = set()

    def invite(*names: str) -> None:
        standing = set(lab.host_names())
        invited.update(name for name in names if name not in standing)
        lab.up(names)

    yield invite
    lab.drop(sorted(invited))
