"""`pulumi up` and its plugins killed with -9 in the middle, again and again; then completed, or destroyed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import Lab
from tests.lab.program_stage import Stage, differences, files_of, live_mirrors, process_of, run_container
from tests.pulumi_project import Project
from toolchain.half_made import half_made_containers
from toolchain.stack_locks import remove_torn_attributes

KILLS = 5
CONTAINER = "docker:index/container:Container"
SECONDS = 120


@pytest.fixture(scope="module")
def stage(lab: Lab, plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stack on blank hosts."""
    lab.renew(["mirror-1", "client-1"])
    directory = tmp_path_factory.mktemp("killed") / "clone"
    stage = Stage.of(lab, directory, plugins, ["mirror-1"], ["client-1"])
    try:
        yield stage
    finally:
        clear_what_was_killed(stage.project)
        stage.project.destroy(check=False)


@pytest.fixture
def chance() -> random.Random:
    """A seed that a failure shows; KILL_SEED=… repeats it."""
    seed = int(os.environ.get("KILL_SEED") or random.SystemRandom().randrange(10**6))
    print(f"KILL_SEED={seed}")
    return random.Random(seed)  # noqa: S311, it picks moments


def clear_what_was_killed(project: Project) -> None:
    """What `make up` does before it begins: the lock, and operations that are neither done nor undone."""
    remove_torn_attributes(project.environment)
    project.cli("cancel", "--yes", check=False)
    deployment = project.export()["deployment"]
    for container in half_made_containers(deployment):
        subprocess.run(container.removal, check=True, capture_output=True)
    if deployment.get("pending_operations"):
        project.cli("refresh", "--yes", "--skip-preview", "--clear-pending-creates")


def state_of(project: Project) -> str:
    """The state as the engine has written it last, which it does before and after each step."""
    files = list(project.state.rglob("test.json"))
    return files[0].read_text() if files else ""


def has_resources(count: int) -> Callable[[str], bool]:
    """Whether a state has so many resources."""
    return lambda state: state.count('"urn"') >= count


def makes_a_container(state: str) -> bool:
    """Whether a container is being created, by a state that is whole."""
    try:
        pending = json.loads(state)["checkpoint"]["latest"].get("pending_operations") or []
    except ValueError:
        return False
    return any(operation["resource"]["type"] == CONTAINER for operation in pending)


def up_until_killed(project: Project, moment: Callable[[str], bool], then: float) -> bool:
    """Kills an `up` and its children `then` seconds after a moment; False where it ended before."""
    process = subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive"],
        cwd=project.directory,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + SECONDS
    while process.poll() is None and not moment(state_of(project)):
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(0.02)
    try:
        process.wait(timeout=then)
    except subprocess.TimeoutExpired:
        kill_with_children(process.pid)
        process.wait()
        return True
    return False


def kill_with_children(pid: int) -> None:
    """-9 to a process and whatever it started, which may have sessions of their own."""
    try:
        found = [task.read_text().split() for task in Path(f"/proc/{pid}/task").glob("*/children")]
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return
    for child in [int(child) for children in found for child in children]:
        kill_with_children(child)


def test_an_up_that_is_killed_five_times_is_completed_by_the_sixth(
    stage: Stage, chance: random.Random
) -> None:
    # A whole stack has over 40; what is killed after 36 is among the proofs.
    points = sorted(chance.sample(range(2, 37), KILLS))
    killed = 0
    for point in points:
        killed += up_until_killed(stage.project, has_resources(point), chance.uniform(0, 0.8))
        clear_what_was_killed(stage.project)

    assert killed >= KILLS - 1, f"the points {points} are beyond the end of an up"
    stage.up()

    proofs = stage.project.outputs()["proofs"]
    assert [proof.split()[0] for proof in proofs] == ["mirror-1", "client-1"]
    stage.project.preview("--expect-no-changes")
    assert stage.changes() == {}


def test_an_up_that_is_killed_while_docker_makes_the_container_is_completed_by_the_next(stage: Stage) -> None:
    stage.project.destroy()
    # The pause lets Docker make it while the state does not know it.
    assert up_until_killed(stage.project, makes_a_container, 0.2)
    assert makes_a_container(state_of(stage.project))

    clear_what_was_killed(stage.project)
    stage.up()

    stage.project.preview("--expect-no-changes")


def test_a_destroy_after_a_killed_up_undoes_also_what_no_state_knows(
    stage: Stage, chance: random.Random
) -> None:
    stage.project.destroy()
    mirror, client = stage.lab.host("mirror-1"), stage.lab.host("client-1")
    before = {host.name: files_of(host) for host in (mirror, client)}
    running = run_container(client, "somebodys")
    stage.up()
    # Done on the hosts, and not yet in the state: what a kill between the two leaves.
    for step in ("client-1-mirror-client", "mirror-1-mirror-client"):
        forget_step(stage.project, step)
    assert up_until_killed(stage.project, has_resources(1), chance.uniform(0, 2))
    clear_what_was_killed(stage.project)

    stage.project.destroy()

    for host in (mirror, client):
        assert differences(before[host.name], files_of(host)) == {}
        assert live_mirrors(host) == []
    assert "registry_cache" not in mirror.run("nft list ruleset").stdout
    assert process_of(client, "somebodys") == running


def forget_step(project: Project, name: str) -> None:
    """Takes a step, and the proof that depends on it, out of the state."""
    (urn,) = [r["urn"] for r in project.resources() if r["urn"].endswith(f"::{name}")]
    project.cli("state", "delete", urn, "--yes", "--force", "--target-dependents")
